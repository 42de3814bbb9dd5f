"""A small classifier of the degradation, for explicit prompts.

Explicit prompting with a separate classifier follows MiOIR (Kong et al., ECCV 2024, repository
Xiangtaokong/MiOIR, basicsr/archs/classifier_arch.py): convolutions, global pooling, a linear
layer, cross-entropy. Two things differ: the deviation of the features is pooled beside their
mean, because noise levels differ in little else, and softmax is taken once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.blocks import channels_last
from methods.options import ClassifierOptions


class DegradationClassifier(nn.Module):
    """Recognises the task of a degraded image of any size of at least 16 pixels."""

    def __init__(self, options: ClassifierOptions, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.tasks = tasks
        inputs = (3, *options.channels[:-1])
        # The first stage keeps full resolution: noise lives there.
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=1 if number == 0 else 2, padding=1)
            for number, (i, o) in enumerate(zip(inputs, options.channels, strict=True))
        )
        self.head = nn.Linear(2 * sum(options.channels), len(tasks))

    def classify(self, degraded: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] to logits (N, tasks)."""
        x = channels_last(degraded) * 2 - 1
        pooled = []
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), 0.1)
            variance, mean = torch.var_mean(x, dim=(-2, -1), correction=0)
            # The root has no gradient at zero, where a constant map would put it.
            pooled += [mean, (variance + 1e-6).sqrt()]
        logits: Tensor = self.head(torch.cat(pooled, dim=-1))
        return logits

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Return the input: a classifier restores nothing."""
        return degraded

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the cross-entropy of the batch's tasks."""
        target = torch.tensor([self.tasks.index(t) for t in batch.tasks])
        logits = self.classify(batch.degraded)
        return {"cross_entropy": F.cross_entropy(logits, target.to(logits.device))}


def build(context: BuildContext) -> DegradationClassifier:
    """Build from ``ClassifierOptions``."""
    return DegradationClassifier(context.options, context.tasks)
