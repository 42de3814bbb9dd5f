"""SIPL's fusion block: every pixel of one map asks all pixels of another.

Follows Wu et al., "Boosting All-in-One Image Restoration via Self-Improved Privilege Learning",
arXiv 2505.24207, repository Aitical/SIPL, basicsr/archs, with the same state-dict keys. Inside the
block maps are (N, H, W, C).
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import GatedFeedForward, LayerNorm, add_feed_forward
from methods.convolutions import pointwise
from methods.cross_attention import CrossAttention
from methods.kernels.depthwise import depthwise
from methods.row_bands import WideConvolution


class PixelAttention(CrossAttention):
    """Attention between the pixels of two maps of C channels and any two sizes."""

    def forward(self, query_map: Tensor, value_map: Tensor) -> Tensor:
        """Attend from each pixel of (N, H, W, C) to all of (N, h, w, C); returns (N, H, W, C)."""
        q = depthwise(pointwise(query_map, self.q.weight), self.q_dwconv.weight, gated=False)
        kv = depthwise(pointwise(value_map, self.kv.weight), self.kv_dwconv.weight, gated=False)
        k, v = kv.chunk(2, dim=-1)
        queries = F.normalize(self._tokens(q), dim=-1) * self.temperature
        keys = F.normalize(self._tokens(k), dim=-1)
        # The matrix of all pairs of pixels is never whole in memory.
        attended = F.scaled_dot_product_attention(
            queries.to(v.dtype), keys.to(v.dtype), self._tokens(v), scale=1.0
        )
        joined = attended.transpose(1, 2).reshape(query_map.shape)
        return pointwise(joined, self.project_out.weight)

    def _tokens(self, x: Tensor) -> Tensor:
        """Return (N, heads, pixels, C / heads)."""
        heads = self.temperature.shape[0]
        return x.flatten(1, 2).unflatten(-1, (heads, -1)).transpose(1, 2)


class DualGatedFeedForward(GatedFeedForward):
    """A feed-forward network whose two halves gate each other."""

    def gating(self, norm: Callable[[Tensor], Tensor]) -> WideConvolution:
        """Return what makes the two halves; ``norm`` is applied to the input first."""
        return WideConvolution.of(self.project_in, self.dwconv, norm)

    def project(self, gated: Tensor) -> Tensor:
        """Gate the halves of (N, H, W, 2h) by each other, and map them to (N, H, W, C)."""
        first, second = gated.chunk(2, dim=-1)
        both = F.gelu(second) * first + F.gelu(first) * second
        return pointwise(both, self.project_out.weight)


class FusionBlock(nn.Module):
    """Replaces a map by what it asks of another one.

    As published the residual starts from the normalised map, so the map itself does not pass the
    block.

    Args:
        channels: C of both maps.
        heads: attention heads, which divide C.
    """

    recomputable = True

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.norm11 = LayerNorm(channels)
        self.norm12 = LayerNorm(channels)
        self.attn = PixelAttention(channels, heads)
        self.norm2 = LayerNorm(channels)
        self.ffn = DualGatedFeedForward(channels, expansion=2.0)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; ``asked`` is (N, C, any height, any width)."""
        queries = self.norm11(asking.permute(0, 2, 3, 1).contiguous())
        values = self.norm12(asked.permute(0, 2, 3, 1).contiguous())
        fused = queries + self.attn(queries, values)
        return add_feed_forward(fused, self.norm2, self.ffn).permute(0, 3, 1, 2)
