"""AdaIR's frequency block: the input image's bands attend to the decoder's features.

Follows Cui et al., "AdaIR: Adaptive All-in-One Image Restoration via Frequency Mining and
Modulation", ICLR 2025 (arXiv 2403.14614), repository c-yn/AdaIR, net/model.py, with the same
state-dict keys. Inside the block maps are (N, H, W, C).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.convolutions import conv1x1
from methods.cross_attention import CrossAttention


class _SpatialGate(nn.Module):
    """Weighs every pixel of (N, H, W, C) by the largest and the mean channel around it."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, H, W, 1) in (0, 1)."""
        pooled = torch.stack([x.amax(dim=-1), x.mean(dim=-1)], dim=1)
        return self.spatial(pooled).permute(0, 2, 3, 1).sigmoid()


class _ChannelGate(nn.Module):
    """Weighs every channel of (N, H, W, C) by its mean and its largest value."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 16
        self.mlp = nn.Sequential(conv1x1(channels, hidden), nn.ReLU(), conv1x1(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 1, 1, C) in (0, 1)."""
        score_of_mean = self.mlp(x.mean(dim=(1, 2))[..., None, None])
        score_of_maximum = self.mlp(x.amax(dim=(1, 2))[..., None, None])
        return (score_of_mean + score_of_maximum).permute(0, 2, 3, 1).sigmoid()


class _Refinement(nn.Module):
    """Gates each band by the other one: low by pixels of high, high by channels of low."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.SpatialGate = _SpatialGate()  # as the published keys spell it
        self.ChannelGate = _ChannelGate(channels)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Map two (N, H, W, C) to one."""
        gated = low * self.SpatialGate(high) + high * self.ChannelGate(low)
        return self.proj(gated.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class FrequencyBlock(nn.Module):
    """AdaIR's adaptive frequency learning block (AFLB).

    The input image, resized to the features and convolved, is split at a centred rectangle of
    its spectrum. The half-sides of the rectangle are int(side // ``unit_px`` x rate), the two
    rates learned from the mean of the map. Both bands then attend to the features.

    Three things are as published and look like mistakes:

    - A feature map with a side below ``unit_px`` (128) has an empty rectangle whatever the rates
      are: its low band is zero everywhere and its high band the absolute value of the whole map.
      That is so at every level of a training on 128-pixel patches (sides 64, 32, 16); the
      attention of the low band then has no queries, and returns the mean of its values over the
      channels of a head. The rectangle is not empty only if both sides // 128 x rate reach 1, so
      features need sides of 256, and images of 512 at the highest level.
    - The rounding to whole pixels passes no gradient, so ``rate_conv`` keeps its initial weights
      in any training. No computation uses ``conv`` and ``score_gen``. All three require no
      gradient here, which leaves them as the published training does.
    - ``channel_cross_l`` gets the high band as its queries and ``channel_cross_h`` the low one.

    Args:
        channels: C of the features, at least 16.
        heads: heads of the three attentions.
        unit_px: side of a feature map from which on the rectangle can be a pixel wide.
    """

    recomputable = True

    def __init__(self, channels: int, heads: int, unit_px: int = 128) -> None:
        super().__init__()
        self.unit_px = unit_px
        self.conv = nn.Conv2d(3, channels, 3, padding=1, bias=False).requires_grad_(False)
        self.conv1 = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.score_gen = nn.Conv2d(2, 2, 7, padding=3).requires_grad_(False)
        # At the start the block returns the features as they are.
        self.para1 = nn.Parameter(torch.zeros(channels, 1, 1))
        self.para2 = nn.Parameter(torch.ones(channels, 1, 1))
        self.channel_cross_l = CrossAttention(channels, heads)
        self.channel_cross_h = CrossAttention(channels, heads)
        self.channel_cross_agg = CrossAttention(channels, heads)
        self.frequency_refine = _Refinement(channels)
        self.rate_conv = nn.Sequential(
            conv1x1(channels, channels // 8), nn.GELU(), conv1x1(channels // 8, 2)
        ).requires_grad_(False)

    def forward(self, image: Tensor, features: Tensor) -> Tensor:
        """Modulate ``features`` (N, C, H, W) by ``image`` (N, 3, any height, any width)."""
        y = features.permute(0, 2, 3, 1).contiguous()
        resized = F.interpolate(image, features.shape[-2:], mode="bilinear")
        low, high = self.split(self.conv1(resized).permute(0, 2, 3, 1))
        high = self.channel_cross_l(high, y)
        low = self.channel_cross_h(low, y)
        out = self.channel_cross_agg(y, self.frequency_refine(low, high))
        mixed = out * self.para1.flatten() + y * self.para2.flatten()
        return mixed.permute(0, 3, 1, 2)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the magnitudes (N, H, W, C) of the low and the high band of (N, H, W, C)."""
        height, width = x.shape[1:3]
        if height < self.unit_px or width < self.unit_px:
            # Empty whatever the rates are: no transform is needed to split off nothing.
            return torch.zeros_like(x), x.abs()
        with torch.no_grad():
            rates = self.rate_conv(x.mean(dim=(1, 2))[..., None, None]).flatten(1).sigmoid()
            rows = _lowest(height, (height // self.unit_px * rates[:, 0]).int())
            columns = _lowest(width, (width // self.unit_px * rates[:, 1]).int())
        in_low_band = (rows[:, :, None] & columns[:, None, :]).unsqueeze(-1)
        # torch.fft has no bfloat16.
        spectrum = torch.fft.fft2(x.float(), dim=(1, 2), norm="forward")
        low = _magnitude(spectrum * in_low_band).to(x.dtype)
        high = _magnitude(spectrum * ~in_low_band).to(x.dtype)
        return low, high


def _lowest(side: int, half_sides: Tensor) -> Tensor:
    """Return (N, side): which frequencies, in the transform's order, lie in [-half, half)."""
    indices = torch.arange(side, device=half_sides.device)
    signed = (indices + side // 2) % side - side // 2
    return (signed >= -half_sides[:, None]) & (signed < half_sides[:, None])


def _magnitude(spectrum: Tensor) -> Tensor:
    """Return the magnitude of the map (N, H, W, C) whose spectrum this is."""
    return torch.fft.ifft2(spectrum, dim=(1, 2), norm="forward").abs()
