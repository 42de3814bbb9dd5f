"""MIRAGE's block: three branches share the channels, and each is lifted by the two others.

Follows Ren et al., ICLR 2026 (arXiv 2505.18679), repository Amazingren/MIRAGE,
net/mirage_small.py, with the same state-dict keys. Inside a block maps are (N, H, W, C).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import (
    GatedFeedForward,
    LayerNorm,
    add_feed_forward,
    add_update,
    attend_in_bands,
)
from methods.convolutions import conv1x1, conv_per_channel, pointwise
from methods.mirage.gated import GatedConvolution
from methods.mirage.spec import BRANCHES
from methods.row_bands import WideConvolution


class SharedChannels(nn.Module):
    """Channel attention, gated convolution and an MLP, each on a third of the channels.

    Args:
        channels: C, a multiple of three.
        heads: of the attention; they divide C / 3.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        width = channels // BRANCHES
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.alpha_att = nn.Parameter(torch.ones(1))
        self.alpha_gated = nn.Parameter(torch.ones(1))
        self.alpha_mlp = nn.Parameter(torch.ones(1))
        self.qkv = conv1x1(width, 3 * width)
        self.qkv_dwconv = conv_per_channel(3 * width)
        self.gatedcnn = GatedConvolution(width)
        self.mlp = nn.Sequential(
            nn.Conv1d(width, 2 * width, 1, bias=False),
            nn.GELU(),
            nn.Conv1d(2 * width, width, 1, bias=False),
        )
        self.project_out = conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to the same shape."""
        to_attention, to_gated, to_mlp = x.chunk(BRANCHES, dim=-1)
        attended = self._attend(to_attention.contiguous())
        gated = self.gatedcnn(to_gated.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        mapped = self._map(to_mlp)
        lifted = [
            attended + self.alpha_att * (gated + mapped).sigmoid(),
            gated + self.alpha_gated * (attended + mapped).sigmoid(),
            mapped + self.alpha_mlp * (attended + gated).sigmoid(),
        ]
        return pointwise(torch.cat(lifted, dim=-1), self.project_out.weight)

    def _attend(self, x: Tensor) -> Tensor:
        """Attend between the channels of (N, H, W, C / 3), without a projection."""
        as_is = torch.eye(x.shape[-1], dtype=self.qkv.weight.dtype, device=x.device)
        mixing = WideConvolution.of(self.qkv, self.qkv_dwconv)
        return attend_in_bands(x, mixing, self.temperature, as_is)

    def _map(self, x: Tensor) -> Tensor:
        """Apply the MLP to each pixel of (N, H, W, C / 3)."""
        inner, _, outer = self.mlp
        hidden = F.gelu(pointwise(x, inner.weight.unsqueeze(-1)))
        return pointwise(hidden, outer.weight.unsqueeze(-1))


class MIRAGEBlock(nn.Module):
    """The branches, then a gated feed-forward network with one more GELU, both residual.

    Args:
        channels: C.
        heads: of the attention.
        expansion: ratio of hidden channels of the feed-forward network to C.
    """

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.attn = SharedChannels(channels, heads)
        self.norm2 = LayerNorm(channels)
        self.ffn = GatedFeedForward(channels, expansion, activated=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; fastest in channels-last memory."""
        y = x.permute(0, 2, 3, 1).contiguous()
        y = add_update(y, self.attn(self.norm1(y)))
        return add_feed_forward(y, self.norm2, self.ffn).permute(0, 3, 1, 2)
