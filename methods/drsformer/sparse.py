"""DRSformer's transformer block: attention to the strongest channels, and mixed scales.

Follows Chen et al., "Learning A Sparse Transformer Network for Effective Image Deraining",
CVPR 2023 (arXiv 2303.11950), repository cschenxiang/DRSformer,
basicsr/models/archs/DRSformer_arch.py, with the same state-dict keys. Inside a block maps are
(N, H, W, C).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import LayerNorm, add_update, attend_in_bands
from methods.convolutions import conv1x1, conv_per_channel, pointwise
from methods.row_bands import WideConvolution, bands

_SELECTED_SHARES = ((1, 2), (2, 3), (3, 4), (4, 5))
_INITIAL_SCALE = 0.2


class SparseAttention(nn.Module):
    """Top-k sparse attention (TKSA) between channels.

    Of each row of similarities, the largest half, 2/3, 3/4 and 4/5 are selected (rounded down);
    each selection has a softmax of its own, and the four are added with learned scales.

    Args:
        channels: C of the features.
        heads: attention heads, which divide C.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv1x1(channels, channels * 3)
        self.qkv_dwconv = conv_per_channel(channels * 3)
        self.project_out = conv1x1(channels, channels)
        self.attn1 = nn.Parameter(torch.full((1,), _INITIAL_SCALE))
        self.attn2 = nn.Parameter(torch.full((1,), _INITIAL_SCALE))
        self.attn3 = nn.Parameter(torch.full((1,), _INITIAL_SCALE))
        self.attn4 = nn.Parameter(torch.full((1,), _INITIAL_SCALE))

    def forward(self, x: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Map (N, H, W, C) to the same shape, normalised by ``norm`` first."""
        weight = self.project_out.weight.flatten(1)
        mixing = WideConvolution.of(self.qkv, self.qkv_dwconv, norm)
        return attend_in_bands(x, mixing, self.temperature, weight, self.weigh)

    def weigh(self, logits: Tensor) -> Tensor:
        """Map logits (N, heads, C, C) to attention of the same shape; rows sum to the scales."""
        channels = logits.shape[-1]
        # The rank of every logit in its row, from 0 for the largest.
        ranks = logits.argsort(dim=-1, descending=True).argsort(dim=-1)
        scales = (self.attn1, self.attn2, self.attn3, self.attn4)
        attentions = []
        for (part, whole), scale in zip(_SELECTED_SHARES, scales, strict=True):
            selected = logits.masked_fill(ranks >= channels * part // whole, -torch.inf)
            attentions.append(scale.to(logits.dtype) * selected.softmax(dim=-1))
        return torch.stack(attentions).sum(dim=0)


class MixedFeedForward(nn.Module):
    """Mixed-scale feed-forward (MSFN): 3x3 and 5x5 filters that exchange halves in between.

    The second filters map two channels to one. The pairs are neighbours after the halves were
    joined, so that all but the middle pair of an odd hidden width are of one scale, as published.

    Args:
        channels: C of the features.
        expansion: hidden width per channel.
    """

    halo = 4
    """Rows on either side that an output row depends on: two 5x5 filters in a row."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = conv1x1(channels, hidden * 2)
        self.dwconv3x3 = _grouped(hidden * 2, hidden * 2, 3)
        self.dwconv5x5 = _grouped(hidden * 2, hidden * 2, 5)
        self.dwconv3x3_1 = _grouped(hidden * 2, hidden, 3)
        self.dwconv5x5_1 = _grouped(hidden * 2, hidden, 5)
        self.project_out = conv1x1(hidden * 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to the same shape."""
        x = pointwise(x, self.project_in.weight)
        first3, second3 = _filter(x, self.dwconv3x3).chunk(2, dim=-1)
        first5, second5 = _filter(x, self.dwconv5x5).chunk(2, dim=-1)
        out3 = _filter(torch.cat([first3, first5], dim=-1), self.dwconv3x3_1)
        out5 = _filter(torch.cat([second3, second5], dim=-1), self.dwconv5x5_1)
        return pointwise(torch.cat([out3, out5], dim=-1), self.project_out.weight)


def _grouped(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=outputs, bias=False)


def _filter(x: Tensor, conv: nn.Conv2d) -> Tensor:
    return F.relu(conv(x.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)


class SparseBlock(nn.Module):
    """Sparse transformer block (STB): attention, then the feed-forward, both residual.

    Args:
        channels: C of the features.
        heads: attention heads, which divide C.
        expansion: hidden width of the feed-forward per channel.
    """

    recomputable = True

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.attn = SparseAttention(channels, heads)
        self.norm2 = LayerNorm(channels)
        self.ffn = MixedFeedForward(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; fastest in channels-last memory."""
        y = x.permute(0, 2, 3, 1).contiguous()
        y = add_update(y, self.attn(y, self.norm1))
        if torch.is_grad_enabled():
            y = y + self.ffn(self.norm2(y))
        else:
            # As in Restormer's block: without gradients, the widest maps are never whole.
            out = torch.empty_like(y)
            for band in bands(y, 2 * self.ffn.project_in.out_channels, self.ffn.halo):
                update = self.ffn(self.norm2(y[:, band.read]))[:, band.kept]
                torch.add(y[:, band.rows], update, out=out[:, band.rows])
            y = out
        return y.permute(0, 3, 1, 2)
