"""MoCE-IR's encoder block.

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


class EncoderBlock(nn.Module):
    """Restormer's block with biases, under the published keys.

    Args:
        channels: C.
        heads: attention heads, which divide C.
        expansion: hidden width of the feed-forward per channel.
    """

    recomputable = True

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([LayerNorm(channels), LayerNorm(channels)])
        self.mixer = ChannelAttention(channels, heads, bias=True)
        self.ffn = GatedFeedForward(channels, expansion, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; fastest in channels-last memory."""
        y = x.permute(0, 2, 3, 1).contiguous()
        y = add_update(y, self.mixer(y, self.norms[0]))
        return add_feed_forward(y, self.norms[1], self.ffn).permute(0, 3, 1, 2)
