"""DFPIR's degradation-guided block: a permutation of channels, and attention to the strongest.

Follows Tian et al., "Degradation-Aware Feature Perturbation for All-in-One Image Restoration",
CVPR 2025 (arXiv 2505.12630), repository TxpHome/DFPIR, net/model.py, with the same state-dict
keys. Inside the block maps are (N, H, W, C).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.attention import as_given, attend_by_parts, attend_with
from methods.blocks import GatedFeedForward, LayerNorm, add_feed_forward
from methods.convolutions import pointwise
from methods.cross_attention import CrossAttention
from methods.dfpir.text import TEXT_CHANNELS

_INITIAL_SCALE = 0.2


class SelectiveAttention(CrossAttention):
    """Channel attention in whose rows the largest entries alone count, scaled by a parameter.

    Args:
        channels: C of both maps.
        heads: attention heads, which divide C.
        selected_share: share of a row's entries that count, rounded down.
    """

    def __init__(self, channels: int, heads: int, selected_share: float) -> None:
        super().__init__(channels, heads)
        self.selected = int(channels // heads * selected_share)
        self.attn4 = nn.Parameter(torch.full((1,), _INITIAL_SCALE))

    def forward(self, query_map: Tensor, value_map: Tensor) -> Tensor:
        """Attend from ``query_map`` (N, H, W, C) to ``value_map``; all shapes are the same."""
        weight = self.project_out.weight.flatten(1)
        if torch.is_grad_enabled():
            qkv = self.mix(query_map, value_map).flatten(1, 2)
            out = attend_with(self.weigh, qkv, self.temperature, weight)
        else:
            pixels = query_map.shape[1] * query_map.shape[2]
            parts = self.mix_by_bands(query_map, value_map)
            out = attend_by_parts(parts, pixels, self.temperature, weight, self.weigh)
        return out.unflatten(1, query_map.shape[1:3])

    def weigh(self, logits: Tensor) -> Tensor:
        """Map logits (N, heads, C, C) to attention of the same shape; rows sum to the scale."""
        # The rank of every logit in its row, from 0 for the largest.
        ranks = logits.argsort(dim=-1, descending=True).argsort(dim=-1)
        selected = logits.masked_fill(ranks >= self.selected, -torch.inf)
        return self.attn4.to(logits.dtype) * selected.softmax(dim=-1)


class GuidedBlock(nn.Module):
    """Replaces features by those that attend from a permutation of their channels to them.

    As published, nothing is added to the input, and the layers that read the text get no gradient,
    since sorting passes none: they keep their random start for ever, and each text has a fixed
    random permutation. They require no gradient here.

    Args:
        channels: C of the features.
        heads: attention heads, which divide C.
        expansion: of the feed-forward network.
        selected_share: share of a row's entries that the attention selects.
    """

    recomputable = True

    def __init__(self, channels: int, heads: int, expansion: float, selected_share: float) -> None:
        super().__init__()
        self.linear_layer1 = nn.Linear(TEXT_CHANNELS, TEXT_CHANNELS).requires_grad_(False)
        self.linear_layer3 = nn.Linear(TEXT_CHANNELS, 2 * channels).requires_grad_(False)
        self.conv1x1 = nn.Conv2d(channels, 2 * channels, 1)
        self.conv_out = nn.Conv2d(2 * channels, channels, 1)
        self.norm1 = LayerNorm(channels)
        self.norm2 = LayerNorm(channels)
        self.norm3 = LayerNorm(channels)
        self.select_attn = SelectiveAttention(channels, heads, selected_share)
        self.ffn = GatedFeedForward(channels, expansion)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """Map features (N, C, H, W) to the same shape, under texts (N, 512)."""
        y = x.permute(0, 2, 3, 1).contiguous()
        queries = self._permuted(y, self.permutation(text))
        attended = self.select_attn(self.norm1(queries), self.norm2(y))
        return add_feed_forward(attended, self.norm3, self.ffn).permute(0, 3, 1, 2)

    def permutation(self, text: Tensor) -> Tensor:
        """Return for texts (N, 512) which of 2C channels comes to each position, (N, 2C)."""
        # In bfloat16, scores would tie, and training and test would have other permutations.
        with torch.no_grad(), as_given(text.device):
            scores = self.linear_layer3(self.linear_layer1(text))
            return scores.argsort(dim=-1, descending=True, stable=True)

    def _permuted(self, y: Tensor, permutation: Tensor) -> Tensor:
        """Widen (N, H, W, C) to 2C channels, permute them per image, and project them to C.

        It is the projection whose weights are permuted, which is the same and moves no map.
        """
        widened = pointwise(y, self.conv1x1.weight, self.conv1x1.bias)
        weight = self.conv_out.weight.flatten(1)[:, permutation.argsort(dim=-1)].transpose(0, 1)
        projected = torch.bmm(widened.flatten(1, 2), weight.transpose(1, 2).to(widened.dtype))
        biased = projected + self.conv_out.bias.to(widened.dtype)  # type: ignore[union-attr]
        return biased.unflatten(1, y.shape[1:3])
