"""OneRestore's block: attention to the scene's embedding, self attention, feed-forward network.

Follows Guo et al., ECCV 2024 (arXiv 2407.04621), repository gy65896/OneRestore,
model/OneRestore.py, with its state-dict keys. Maps are (N, H, W, C).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import (
    ChannelAttention,
    GatedFeedForward,
    LayerNorm,
    add_feed_forward,
    add_update,
)
from methods.convolutions import conv1x1, conv_per_channel, pointwise
from methods.kernels.depthwise import depthwise
from methods.onerestore.scenes import EMBEDDING_LENGTH, KEY_PX
from methods.onerestore.spec import OneRestoreOptions


class SceneAttention(nn.Module):
    """Attention from a scene's embedding to the channels of a map.

    The query is the same for every channel of a head, so a head returns one map, repeated for
    each of them. Attention is multiplied into the output projection beforehand, whose columns of
    a head are summed: the maps of a head are never repeated.

    Args:
        channels: channels of the map.
        options: heads, and whether keys are resized with antialiasing.
    """

    def __init__(self, channels: int, options: OneRestoreOptions) -> None:
        super().__init__()
        self.antialias = options.antialias
        self.temperature = nn.Parameter(torch.ones(options.heads, 1, 1))
        self.q = nn.Linear(EMBEDDING_LENGTH, EMBEDDING_LENGTH, bias=False)
        self.kv = conv1x1(channels, 2 * channels)
        self.kv_dwconv = conv_per_channel(2 * channels)
        self.project_out = conv1x1(channels, channels)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Attend from embeddings (N, 324) to (N, H, W, C); the shape stays."""
        mixed = depthwise(pointwise(x, self.kv.weight), self.kv_dwconv.weight, gated=False)
        keys, values = mixed.chunk(2, dim=-1)
        attention = self._attention(keys, embedding)
        heads, width = attention.shape[1:]
        by_head = self.project_out.weight.flatten(1).unflatten(1, (heads, width)).sum(dim=-1)
        folded = (by_head[None, :, :, None] * attention[:, None].to(by_head)).flatten(2)
        projected = values.flatten(1, 2) @ folded.transpose(1, 2).to(values)
        return projected.unflatten(1, x.shape[1:3])

    def _attention(self, keys: Tensor, embedding: Tensor) -> Tensor:
        """Return (N, heads, C / heads): how much each channel of a head counts."""
        size = (KEY_PX, KEY_PX)
        resized = F.interpolate(
            keys.permute(0, 3, 1, 2), size=size, mode="bilinear", antialias=self.antialias
        )
        heads = len(self.temperature)
        by_head = F.normalize(resized.flatten(2), dim=-1).unflatten(1, (heads, -1))
        query = F.normalize(self.q(embedding), dim=-1)[:, None, :, None]
        similarity = (by_head @ query).squeeze(-1)
        return (similarity * self.temperature.squeeze(-1)).softmax(dim=-1)


class SceneBlock(nn.Module):
    """Attention to the scene, self attention between channels, and the feed-forward network.

    Args:
        channels: channels of the map.
        options: heads, expansion and antialiasing.
    """

    recomputable = True

    def __init__(self, channels: int, options: OneRestoreOptions) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.cross_attn = SceneAttention(channels, options)
        self.norm2 = LayerNorm(channels)
        self.self_attn = ChannelAttention(channels, options.heads)
        self.norm3 = LayerNorm(channels)
        self.ffn = GatedFeedForward(channels, options.ffn_expansion)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape, under embeddings (N, 324)."""
        y = x.permute(0, 2, 3, 1).contiguous()
        y = add_update(y, self.cross_attn(self.norm1(y), embedding))
        y = add_update(y, self.self_attn(y, self.norm2))
        return add_feed_forward(y, self.norm3, self.ffn).permute(0, 3, 1, 2)


class Stage(nn.Module):
    """One block under the published key ``el``."""

    def __init__(self, channels: int, options: OneRestoreOptions) -> None:
        super().__init__()
        self.el = SceneBlock(channels, options)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape, under embeddings (N, 324)."""
        return self.el(x, embedding)
