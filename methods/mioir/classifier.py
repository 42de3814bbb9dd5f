"""MiOIR's degradation classifier.

Follows Kong et al., "Towards Effective Multiple-in-One Image Restoration: A Sequential and
Prompt Learning Strategy" (arXiv 2401.03379), repository Xiangtaokong/MiOIR,
basicsr/archs/classifier_arch.py and ClassModel in basicsr/models/ir_model.py; keys, shapes and
outputs are the published ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.mioir.spec import MiOIRClassifierOptions
from methods.task_indices import task_indices

_LEAST_PX = 9  # two convolutions of kernel 3 and stride 3, without padding


class MiOIRClassifier(nn.Module):
    """Recognises the task of a degraded image of any size.

    Args:
        options: channels and the form of the loss.
        tasks: task names in the order of the logits.
    """

    def __init__(self, options: MiOIRClassifierOptions, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.tasks = tasks
        self.double_softmax = options.double_softmax
        c = options.channels
        self.CondNet = nn.Sequential(
            nn.Conv2d(3, c, 3, stride=3),
            nn.LeakyReLU(0.1),
            nn.Conv2d(c, c, 3, stride=3),
            nn.LeakyReLU(0.1),
            nn.Conv2d(c, c, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(c, c, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(c, options.features, 1),
        )
        self.lastOut = nn.Linear(options.features, len(tasks))

    def classify(self, degraded: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] to logits (N, tasks); the published output is their softmax.

        Sides below nine pixels are extended by repeating the border.
        """
        height, width = degraded.shape[-2:]
        bottom, right = max(0, _LEAST_PX - height), max(0, _LEAST_PX - width)
        image = F.pad(degraded, (0, right, 0, bottom), mode="replicate")
        return self.lastOut(self.CondNet(image).mean(dim=(-2, -1)))

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Return the input: a classifier restores nothing."""
        return degraded

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the cross-entropy of the true tasks.

        With ``double_softmax`` its logits are the softmax of the scores.
        """
        scores = self.classify(batch.degraded)
        if self.double_softmax:
            scores = scores.softmax(dim=1)
        target = task_indices(batch.tasks, self.tasks, scores.device)
        return {"cross_entropy": F.cross_entropy(scores, target)}


def build(context: BuildContext) -> MiOIRClassifier:
    """Build from ``MiOIRClassifierOptions``."""
    return MiOIRClassifier(context.options, context.tasks)
