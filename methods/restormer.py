"""Restormer: no prompts.

Follows Zamir et al., CVPR 2022 (arXiv 2111.09881), repository swz30/Restormer and its
copy in Xiangtaokong/MiOIR; the state-dict keys are theirs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.method import Batch, BuildContext
from methods.blocks import RestormerTrunk, Upsample, channels_last, conv1x1, pad_to_multiple
from methods.options import RestormerOptions


class Restormer(RestormerTrunk):
    """Restormer in general width, trained with L1."""

    def __init__(self, options: RestormerOptions) -> None:
        super().__init__(options)
        d = options.dim
        self.up4_3 = Upsample(8 * d)
        self.reduce_chan_level3 = conv1x1(8 * d, 4 * d)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        height, width = degraded.shape[-2:]
        image = channels_last(pad_to_multiple(degraded, self.size_multiple))
        level1, level2, level3, latent = self.run_encoder(image)
        x = self.reduce_chan_level3(torch.cat([self.up4_3(latent), level3], 1))
        x = self.up3_2(self.decoder_level3(x))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([x, level2], 1)))
        return self.finish(x, level1, image)[..., :height, :width]

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error."""
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}


def build(context: BuildContext) -> Restormer:
    """Build from ``RestormerOptions``."""
    return Restormer(context.options)
