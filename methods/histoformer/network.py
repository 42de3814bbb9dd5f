"""Histoformer in general width.

Follows Sun et al., "Restoring Images in Adverse Weather Conditions via Histogram Transformer",
ECCV 2024 (arXiv 2407.10172), repository sunshangquan/Histoformer,
basicsr/models/archs/histoformer_arch.py and Allweather/Options/Allweather_Histoformer.yml; keys,
shapes and outputs are the published ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.blocks import Upsample
from methods.convolutions import conv1x1, conv_per_channel
from methods.histoformer.block import HistogramBlock
from methods.histoformer.losses import correlation_loss
from methods.histoformer.spec import HistoformerOptions
from methods.restormer_backbone import RestormerBackbone, as_is


class _HalvedImage(nn.Module):
    """The image at half the size: a mean of 2x2 pixels, a mixture of colours, a 3x3 filter."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Sequential(nn.AvgPool2d(2), conv1x1(3, 3), conv_per_channel(3))

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image)


class Histoformer(RestormerBackbone):
    """Histoformer, trained with L1 and the correlation of restored and clean images.

    Sorting makes it sensitive: where two values tie within rounding, a rounding error moves
    pixels, so two machines agree to a few digits only.

    Args:
        options: size of the network and weight of the correlation.
    """

    def __init__(self, options: HistoformerOptions) -> None:
        super().__init__(options, block=HistogramBlock)
        d = options.dim
        self.correlation_weight = options.correlation_weight
        self.skip_patch_embed1 = _HalvedImage()
        self.skip_patch_embed2 = _HalvedImage()
        self.skip_patch_embed3 = _HalvedImage()
        # The published names have an underscore before the digit in the encoder alone.
        self.reduce_chan_level_1 = conv1x1(2 * d + 3, 2 * d)
        self.reduce_chan_level_2 = conv1x1(4 * d + 3, 4 * d)
        self.reduce_chan_level_3 = conv1x1(8 * d + 3, 8 * d)
        self.up4_3 = Upsample(8 * d)
        self.reduce_chan_level3 = conv1x1(8 * d, 4 * d)

    def run_encoder(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map (N, 3, H, W) to the outputs of the encoder levels; each level sees the image too."""
        halved = self.skip_patch_embed1(x)
        quartered = self.skip_patch_embed2(halved)
        smallest = self.skip_patch_embed3(quartered)
        level1 = self.encoder_level1(self.embed(x))
        below = torch.cat([self.down1_2(level1), halved], dim=1)
        level2 = self.encoder_level2(self.reduce_chan_level_1(below))
        below = torch.cat([self.down2_3(level2), quartered], dim=1)
        level3 = self.encoder_level3(self.reduce_chan_level_2(below))
        below = torch.cat([self.down3_4(level3), smallest], dim=1)
        return level1, level2, level3, self.latent(self.reduce_chan_level_3(below))

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode_backbone(self.encode(degraded), as_is)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error and, with a weight, the correlation loss."""
        restored = self.restore(batch.degraded)
        terms = {"l1": F.l1_loss(restored, batch.clean)}
        if self.correlation_weight:
            loss = correlation_loss(restored, batch.clean)
            terms["correlation"] = self.correlation_weight * loss
        return terms


def build(context: BuildContext) -> Histoformer:
    """Build from ``HistoformerOptions``."""
    return Histoformer(context.options)
