"""Restormer, a network without prompts.

Follows Zamir et al., CVPR 2022 (arXiv 2111.09881), repository swz30/Restormer and its
copy in Xiangtaokong/MiOIR; the state-dict keys are theirs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.method import Batch, BuildContext, Decoded, Insert
from methods.blocks import Upsample
from methods.convolutions import conv1x1
from methods.restormer.spec import RestormerOptions
from methods.restormer_backbone import Features, RestormerBackbone, as_is


class Restormer(RestormerBackbone):
    """Restormer of any width, trained with L1.

    Args:
        options: size of the network.
    """

    def __init__(self, options: RestormerOptions) -> None:
        super().__init__(options)
        d = options.dim
        self.up4_3 = Upsample(8 * d)
        self.reduce_chan_level3 = conv1x1(8 * d, 4 * d)
        self.insertion_channels = {"level3": 8 * d, "level2": 4 * d, "level1": 2 * d}

    def decode_with(self, features: Features, insert: Insert) -> Decoded:
        """Decode; ``insert`` gets the latent and the features of two decoder levels."""
        return Decoded(self.decode_backbone(features, insert), {}, {})

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode_backbone(self.encode(degraded), as_is)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error."""
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}


def build(context: BuildContext) -> Restormer:
    """Build from ``RestormerOptions``."""
    return Restormer(context.options)
