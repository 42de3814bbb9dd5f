"""OneRestore's restorer: one block per level, sums instead of concatenations.

Follows Guo et al., ECCV 2024 (arXiv 2407.04621), repository gy65896/OneRestore,
model/OneRestore.py, with its state-dict keys. Maps are (N, C, H, W); any size is restored.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import channels_last
from methods.convolutions import conv1x1
from methods.onerestore.block import Stage
from methods.onerestore.spec import OneRestoreOptions


class _Encoder(nn.Module):
    """Four levels, each of half the sides of the one above and twice its channels."""

    def __init__(self, options: OneRestoreOptions) -> None:
        super().__init__()
        c = options.channels
        self.el = Stage(c, options)
        self.em = Stage(2 * c, options)
        self.es = Stage(4 * c, options)
        self.ess = Stage(8 * c, options)
        self.conv_eltem = conv1x1(c, 2 * c)
        self.conv_emtes = conv1x1(2 * c, 4 * c)
        self.conv_estess = conv1x1(4 * c, 8 * c)
        # Published, and never used: it neither computes nor is trained.
        self.conv_esstesss = conv1x1(8 * c, 16 * c).requires_grad_(False)

    def forward(self, x: Tensor, embedding: Tensor) -> list[Tensor]:
        large = self.el(x, embedding)
        medium = self.em(self.conv_eltem(_halved(large)), embedding)
        small = self.es(self.conv_emtes(_halved(medium)), embedding)
        smallest = self.ess(self.conv_estess(_halved(small)), embedding)
        return [large, medium, small, smallest]


class _Middle(nn.Module):
    """Two blocks at the deepest level."""

    def __init__(self, options: OneRestoreOptions) -> None:
        super().__init__()
        self.s1 = Stage(8 * options.channels, options)
        self.s2 = Stage(8 * options.channels, options)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.s2(self.s1(x, embedding), embedding)


class _Decoder(nn.Module):
    """Four levels, to each of which the encoder's is added."""

    def __init__(self, options: OneRestoreOptions) -> None:
        super().__init__()
        c = options.channels
        self.dss = Stage(8 * c, options)
        self.ds = Stage(4 * c, options)
        self.dm = Stage(2 * c, options)
        self.dl = Stage(c, options)
        self.conv_dsstds = conv1x1(8 * c, 4 * c)
        self.conv_dstdm = conv1x1(4 * c, 2 * c)
        self.conv_dmtdl = conv1x1(2 * c, c)

    def forward(self, x: Tensor, levels: list[Tensor], embedding: Tensor) -> Tensor:
        large, medium, small, smallest = levels
        x = self.dss(x + smallest, embedding)
        x = self.ds(self.conv_dsstds(_resized(x, small)) + small, embedding)
        x = self.dm(self.conv_dstdm(_resized(x, medium)) + medium, embedding)
        return self.dl(self.conv_dmtdl(_resized(x, large)) + large, embedding)


class Restorer(nn.Module):
    """Restores an image under the embedding of its scene.

    Args:
        options: size of the network.
    """

    def __init__(self, options: OneRestoreOptions) -> None:
        super().__init__()
        self.in_conv = conv1x1(3, options.channels)
        self.encoder = _Encoder(options)
        self.middle = _Middle(options)
        self.decoder = _Decoder(options)
        self.out_conv = conv1x1(options.channels, 3)

    def restore_under(self, degraded: Tensor, embedding: Tensor) -> Tensor:
        """Restore (N, 3, H, W) in [0, 1] under embeddings (N, 324); the result is not clamped."""
        x = self.in_conv(channels_last(degraded) * 2 - 1)
        levels = self.encoder(x, embedding)
        x = self.decoder(self.middle(levels[-1], embedding), levels, embedding)
        # Published as it is: the image that is added lies in [0, 1], the sum is read as [-1, 1].
        return (self.out_conv(x) + degraded + 1) / 2


def _halved(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=2, padding=1)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear")
