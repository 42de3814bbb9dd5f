"""Histoformer's block: histogram attention, then a feed-forward network of two scales.

Follows Sun et al., ECCV 2024 (arXiv 2407.10172), repository sunshangquan/Histoformer,
basicsr/models/archs/histoformer_arch.py, with its state-dict keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.convolutions import conv1x1, conv_per_channel
from methods.histoformer.attention import HistogramAttention


def normalise(x: Tensor) -> Tensor:
    """Normalise each pixel of (N, C, H, W) over its channels, without weight and bias."""
    variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


class DualScaleFeedForward(nn.Module):
    """A feed-forward network that convolves at twice the size, 5x5 and dilated, and gates by Mish.

    Args:
        channels: channels of the map.
        expansion: ratio of hidden channels to ``channels``; their number divides by four.
    """

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        part = hidden // 4
        self.project_in = conv1x1(channels, 2 * hidden)
        self.dwconv_5 = conv_per_channel(part, 5)
        self.dwconv_dilated2_1 = conv_per_channel(part, dilation=2)
        self.project_out = conv1x1(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        fine, wide = F.pixel_shuffle(self.project_in(x), 2).chunk(2, dim=1)
        gated = F.mish(self.dwconv_dilated2_1(wide)) * self.dwconv_5(fine)
        return self.project_out(F.pixel_unshuffle(gated, 2))


class HistogramBlock(nn.Module):
    """Histogram attention and the feed-forward network, both residual.

    Args:
        channels: channels of the map.
        heads: attention heads; they divide the channels.
        expansion: ratio of hidden channels of the feed-forward network to ``channels``.
    """

    recomputable = True

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.attn_g = HistogramAttention(channels, heads)
        self.ffn = DualScaleFeedForward(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        x = x + self.attn_g(normalise(x))
        return x + self.ffn(normalise(x))
