"""A small classifier of the degradation, for explicit prompts.

Explicit prompting with a separate classifier follows MiOIR (Kong et al., ECCV 2024, repository
Xiangtaokong/MiOIR, basicsr/archs/classifier_arch.py): convolutions, global pooling, a linear
layer, cross-entropy. It differs from MiOIR's in two points: the standard deviation of the features
is pooled in addition to their mean, because noise levels differ in little else, and the softmax is
applied once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.blocks import channels_last
from methods.task_classifier.spec import ClassifierOptions
from methods.task_indices import task_indices


class DegradationClassifier(nn.Module):
    """Recognises the task of a degraded image of any size of at least 16 pixels.

    Args:
        options: its size.
        tasks: task names, in the order of its logits.
    """

    def __init__(self, options: ClassifierOptions, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.tasks = tasks
        self.convolutions = nn.ModuleList()
        inputs, stride = 3, 1
        for channels in options.channels:
            self.convolutions.append(nn.Conv2d(inputs, channels, 3, stride=stride, padding=1))
            # Only the first stage keeps full resolution, where noise can be seen.
            inputs, stride = channels, 2
        self.head = nn.Linear(2 * sum(options.channels), len(tasks))

    def classify(self, degraded: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] to logits (N, tasks)."""
        x = channels_last(degraded) * 2 - 1
        pooled = []
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), 0.1)
            variance, mean = torch.var_mean(x, dim=(-2, -1), correction=0)
            # The square root has no gradient at zero, the variance of a constant map.
            pooled += [mean, (variance + 1e-6).sqrt()]
        logits: Tensor = self.head(torch.cat(pooled, dim=-1))
        return logits

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Return the input: a classifier restores nothing."""
        return degraded

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the cross-entropy of the batch's tasks."""
        logits = self.classify(batch.degraded)
        target = task_indices(batch.tasks, self.tasks, logits.device)
        return {"cross_entropy": F.cross_entropy(logits, target)}


def build(context: BuildContext) -> DegradationClassifier:
    """Build from ``ClassifierOptions``."""
    return DegradationClassifier(context.options, context.tasks)
