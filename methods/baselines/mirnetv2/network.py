"""MIRNetV2.

Follows Zamir et al., "Learning Enriched Features for Fast Image Restoration and Enhancement", TPAMI
2022 (arXiv 2205.01649), repository swz30/MIRNetv2; the class is that of spandrel_extra_arches,
keys, outputs and loss are the published ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.method import Batch, BuildContext
from methods.baselines.extra_classes import PublishedMIRNet2
from methods.baselines.mirnetv2.spec import MIRNetV2Options
from methods.baselines.start import scale_start
from methods.blocks import pad_to_multiple

_SIZE_MULTIPLE = 4


class MIRNetV2(PublishedMIRNet2):
    """MIRNetV2, trained with L1.

    Args:
        options: size of the network.
    """

    def __init__(self, options: MIRNetV2Options) -> None:
        super().__init__(n_feat=options.dim, n_MRB=options.blocks)
        scale_start(self.conv_out, options.output_gain)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        image = pad_to_multiple(degraded, _SIZE_MULTIPLE)
        return self(image)[..., : degraded.shape[-2], : degraded.shape[-1]]

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error."""
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}


def build(context: BuildContext) -> MIRNetV2:
    """Build from ``MIRNetV2Options``."""
    return MIRNetV2(context.options)
