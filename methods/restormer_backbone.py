"""The backbone of Restormer, shared by the networks built on it, and its encoder's features.

Follows Zamir et al., CVPR 2022 (arXiv 2111.09881), repository swz30/Restormer, with the same
state-dict keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.method import Insert
from methods.blocks import (
    Downsample,
    PatchEmbed,
    TransformerBlock,
    Upsample,
    channels_last,
    pad_to_multiple,
)
from methods.convolutions import conv1x1
from methods.restormer.spec import RestormerOptions

Block = Callable[[int, int, float], nn.Module]
"""Builds a block from its channels, its heads and the expansion of its feed-forward network."""


@dataclass(frozen=True)
class Features:
    """What the encoder returns.

    Attributes:
        image: the padded input, (N, 3, H, W).
        level1: output of the first encoder level, (N, C, H, W).
        level2: of the second, (N, 2C, H/2, W/2).
        level3: of the third, (N, 4C, H/4, W/4).
        latent: of the deepest level, (N, 8C, H/8, W/8).
        height: height to which the result is cropped.
        width: width to which the result is cropped.
    """

    image: Tensor
    level1: Tensor
    level2: Tensor
    level3: Tensor
    latent: Tensor
    height: int
    width: int

    def repeat(self, times: int) -> Features:
        """Return the batch ``times`` times over, in turn."""
        return self._mapped(lambda value: torch.cat([value] * times))

    def detach(self) -> Features:
        """Return the same values, through which no gradient flows."""
        return self._mapped(Tensor.detach)

    def maps(self) -> list[Tensor]:
        """Return the encoder's outputs, from its first level to the latent."""
        return [self.level1, self.level2, self.level3, self.latent]

    def _mapped(self, function: Callable[[Tensor], Tensor]) -> Features:
        """Return the same features with ``function`` applied to each tensor."""
        return Features(
            image=function(self.image),
            level1=function(self.level1),
            level2=function(self.level2),
            level3=function(self.level3),
            latent=function(self.latent),
            height=self.height,
            width=self.width,
        )


def as_is(level: str, x: Tensor) -> Tensor:
    """Return the features (N, C, H, W) unchanged: an ``Insert`` that inserts nothing."""
    return x


class RestormerBackbone(nn.Module):
    """Encoder, latent level, decoder levels and refinement of Restormer.

    A network built on it adds the layers from the latent to the third level, which differ.

    Args:
        options: size of the network.
        block: builds the blocks of which the levels consist.
    """

    size_multiple = 8
    decoder_levels = ("decoder_level1", "decoder_level2", "decoder_level3")
    up4_3: nn.Module
    reduce_chan_level3: nn.Module
    fuse: Insert = staticmethod(as_is)
    """Gets the decoder's features at each level before ``insert``; see ``FusionHost``."""

    def __init__(self, options: RestormerOptions, block: Block = TransformerBlock) -> None:
        super().__init__()
        d, heads, blocks = options.dim, options.heads, options.blocks

        def stack(channels: int, heads: int, count: int) -> nn.Sequential:
            level = nn.Sequential()
            for _ in range(count):
                level.append(block(channels, heads, options.ffn_expansion))
            return level

        self.patch_embed = PatchEmbed(d)
        self.encoder_level1 = stack(d, heads[0], blocks[0])
        self.down1_2 = Downsample(d)
        self.encoder_level2 = stack(2 * d, heads[1], blocks[1])
        self.down2_3 = Downsample(2 * d)
        self.encoder_level3 = stack(4 * d, heads[2], blocks[2])
        self.down3_4 = Downsample(4 * d)
        self.latent = stack(8 * d, heads[3], blocks[3])
        self.decoder_level3 = stack(4 * d, heads[2], blocks[2])
        self.up3_2 = Upsample(4 * d)
        self.reduce_chan_level2 = conv1x1(4 * d, 2 * d)
        self.decoder_level2 = stack(2 * d, heads[1], blocks[1])
        self.up2_1 = Upsample(2 * d)
        self.decoder_level1 = stack(2 * d, heads[0], blocks[0])
        self.refinement = stack(2 * d, heads[0], options.refinement_blocks)
        self.output = nn.Conv2d(2 * d, 3, 3, padding=1, bias=False)
        with torch.no_grad():
            self.output.weight *= options.output_gain

    def embed(self, image: Tensor) -> Tensor:
        """Map (N, 3, H, W) to the first level's features."""
        return self.patch_embed(image)

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Features:
        """Encode (N, 3, H, W) in [0, 1] of any size; ``rng`` is not used."""
        image = channels_last(pad_to_multiple(degraded, self.size_multiple))
        return Features(image, *self.run_encoder(image), *degraded.shape[-2:])

    def run_encoder(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map (N, 3, H, W) to the outputs of the three encoder levels and of the latent."""
        level1 = self.encoder_level1(self.embed(x))
        level2 = self.encoder_level2(self.down1_2(level1))
        level3 = self.encoder_level3(self.down2_3(level2))
        return level1, level2, level3, self.latent(self.down3_4(level3))

    def decode_backbone(self, features: Features, insert: Insert) -> Tensor:
        """Decode to (N, 3, H, W); ``insert`` gets the latent and the features of two levels."""
        x = self.up4_3(insert("level3", self.fuse("level3", features.latent)))
        x = self.decoder_level3(self.reduce_chan_level3(torch.cat([x, features.level3], 1)))
        x = self.up3_2(insert("level2", self.fuse("level2", x)))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([x, features.level2], 1)))
        return self._finish(insert("level1", self.fuse("level1", x)), features)

    def _finish(self, decoded2: Tensor, features: Features) -> Tensor:
        """Run the last decoder level and refinement, add the input, and crop the padding."""
        x = self.decoder_level1(torch.cat([self.up2_1(decoded2), features.level1], 1))
        restored = self.output(self.refinement(x)) + features.image
        return restored[..., : features.height, : features.width]
