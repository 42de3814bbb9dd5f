"""MoCE-IR's decoder block: a shared branch, experts, and attention of one to the other.

Follows Zamfir et al., CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR,
net/moce_ir.py, with the same state-dict keys.
"""

from __future__ import annotations

from torch import Tensor, nn

from methods.blocks import (
    ChannelAttention,
    GatedFeedForward,
    LayerNorm,
    add_feed_forward,
    add_update,
)
from methods.convolutions import pointwise
from methods.cross_attention import CrossAttention
from methods.moceir.experts import ExpertLayer
from methods.moceir.spec import MoCEIROptions
from methods.row_bands import unchanged


class DecoderBlock(nn.Module):
    """Adds, to features that all degradations share, what experts restore of them.

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
        self.mixer = CrossAttention(channels, heads, kv_kernel_px=7)
        self.ffn = GatedFeedForward(channels, options.ffn_expansion)
        self.adapter = ExpertLayer(channels, embedding, options)

    def forward(self, x: Tensor, embedding: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to the same shape, and return the router's load balancing with it.

        ``embedding`` is (N, D); ``noise`` (N, experts) is standard normal, or None.
        """
        y = x.permute(0, 2, 3, 1).contiguous()
        normalised = self.norms[0](y)
        to_shared, to_experts = self.proj
        shared = pointwise(normalised, to_shared.weight, to_shared.bias)
        own = pointwise(normalised, to_experts.weight, to_experts.bias)
        shared = self.shared(shared, unchanged)  # it is normalised before its projection
        own, load_balancing = self.adapter(own, embedding, shared, noise)
        y = add_update(y, self.mixer(own, shared))
        y = add_feed_forward(y, self.norms[1], self.ffn)
        return y.permute(0, 3, 1, 2), load_balancing
