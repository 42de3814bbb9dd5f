"""MoCE-IR's decoder block: a shared branch, experts, and attention of one to the other.

Follows Zamfir et al., CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR,
net/moce_ir.py, with the same state-dict keys.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.attention import attend, attend_by_parts
from methods.blocks import (
    ChannelAttention,
    GatedFeedForward,
    LayerNorm,
    add_feed_forward,
    bands,
    conv1x1,
    pointwise,
)
from methods.kernels.depthwise import depthwise
from methods.moceir.experts import ExpertLayer, depthwise7
from methods.moceir.spec import MoCEIROptions

_HALO = 3  # of the 7x7 kernel


class CrossAttention(nn.Module):
    """Channel attention whose queries come from one map, its keys and values from another."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = conv1x1(channels, channels)
        self.q_dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.kv = conv1x1(channels, 2 * channels)
        self.kv_dwconv = nn.Conv2d(
            2 * channels, 2 * channels, 7, padding=3, groups=2 * channels, bias=False
        )
        self.project_out = conv1x1(channels, channels)

    def forward(self, asking: Tensor, answering: Tensor) -> Tensor:
        """Map two (N, H, W, C) to one."""
        weight = self.project_out.weight.flatten(1)
        if torch.is_grad_enabled():
            out = attend(self._mix(asking, answering).flatten(1, 2), self.temperature, weight)
        else:
            parts = (
                self._mix(asking[:, band.read], answering[:, band.read])[:, band.kept].flatten(1, 2)
                for band in bands(asking, 3 * asking.shape[-1], _HALO)
            )
            pixels = asking.shape[1] * asking.shape[2]
            out = attend_by_parts(parts, pixels, self.temperature, weight)
        return out.unflatten(1, asking.shape[1:3])

    def _mix(self, asking: Tensor, answering: Tensor) -> Tensor:
        q = depthwise(pointwise(asking, self.q.weight), self.q_dwconv.weight, gated=False)
        kv = depthwise7(pointwise(answering, self.kv.weight), self.kv_dwconv)
        return torch.cat([q, kv], dim=-1)


class DecoderBlock(nn.Module):
    """Restores by experts what a shared branch has in common for all degradations.

    Args:
        channels: C.
        heads: heads of both attentions.
        embedding: channels of the frequency embedding.
        options: feed-forward width and experts.
    """

    def __init__(self, channels: int, heads: int, embedding: int, options: MoCEIROptions) -> None:
        super().__init__()
        self.norms = nn.ModuleList([LayerNorm(channels), LayerNorm(channels)])
        self.proj = nn.ModuleList([nn.Conv2d(channels, channels, 1) for _ in range(2)])
        self.shared = ChannelAttention(channels, heads)
        self.mixer = CrossAttention(channels, heads)
        self.ffn = GatedFeedForward(channels, options.ffn_expansion)
        self.adapter = ExpertLayer(channels, embedding, options)

    def forward(self, x: Tensor, embedding: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to the same shape, and return the router's balance with it.

        ``embedding`` is (N, D); ``noise`` (N, experts) is standard normal, or None.
        """
        y = x.permute(0, 2, 3, 1).contiguous()
        normalised = self.norms[0](y)
        common, own = (pointwise(normalised, proj.weight, proj.bias) for proj in self.proj)
        common = self.shared(common, _unchanged)
        own, balance = self.adapter(own, embedding, common, noise)
        y = y + self.mixer(own, common)
        return add_feed_forward(y, self.norms[1], self.ffn).permute(0, 3, 1, 2), balance


def _unchanged(x: Tensor) -> Tensor:
    return x
