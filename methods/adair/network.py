"""AdaIR in general width, split into encoder and decoder.

Follows Cui et al., ICLR 2025 (arXiv 2403.14614), repository c-yn/AdaIR, net/model.py,
``decoder=True``, and its training in train.py; keys, shapes and outputs are the published ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.method import Batch, BuildContext, Decoded, Insert
from methods.adair.frequency import FrequencyBlock
from methods.adair.spec import AdaIROptions
from methods.blocks import Upsample
from methods.convolutions import conv1x1
from methods.restormer_backbone import Features, RestormerBackbone, as_is


class AdaIR(RestormerBackbone):
    """AdaIR, trained with L1.

    Args:
        options: size of the network; the defaults are the published ones.
    """

    def __init__(self, options: AdaIROptions) -> None:
        super().__init__(options)
        d, unit_px = options.dim, options.frequency_unit_px
        # The published network gives all three frequency blocks the third level's heads.
        heads = options.heads[2]
        self.fre1 = FrequencyBlock(8 * d, heads, unit_px)
        self.fre2 = FrequencyBlock(4 * d, heads, unit_px)
        self.fre3 = FrequencyBlock(2 * d, heads, unit_px)
        self.up4_3 = Upsample(8 * d)
        self.reduce_chan_level3 = conv1x1(8 * d, 4 * d)
        self.insertion_channels = {"level3": 8 * d, "level2": 4 * d, "level1": 2 * d}

    def decode_with(self, features: Features, insert: Insert) -> Decoded:
        """Decode; ``insert`` gets the output of each level's frequency block.

        Neither routing nor auxiliary terms arise.
        """
        blocks = {"level3": self.fre1, "level2": self.fre2, "level1": self.fre3}

        def modulate(level: str, x: Tensor) -> Tensor:
            return insert(level, blocks[level](features.image, x))

        return Decoded(self.decode_backbone(features, modulate), {}, {})

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode_with(self.encode(degraded), as_is).restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error, the whole objective of the published training."""
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}


def build(context: BuildContext) -> AdaIR:
    """Build from ``AdaIROptions``."""
    return AdaIR(context.options)
