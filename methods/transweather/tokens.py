"""TransWeather's blocks on tokens: maps (N, H, W, C), one token per place.

Follows Valanarasu et al., "TransWeather: Transformer-based Restoration of Images Degraded by
Adverse Weather Conditions", CVPR 2022 (arXiv 2111.14813), repository
jeya-maria-jose/TransWeather, transweather_model.py, with its state-dict keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.kernels.depthwise import depthwise


class PatchEmbedding(nn.Module):
    """Embeds overlapping patches by a convolution and normalises them.

    Args:
        inputs: channels of the map.
        outputs: channels of a token.
        kernel_px: side of a patch.
        stride_px: distance of patches.
    """

    def __init__(self, inputs: int, outputs: int, kernel_px: int = 3, stride_px: int = 2) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, kernel_px, stride_px, padding=kernel_px // 2)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to (N, H / stride, W / stride, outputs)."""
        return self.norm(self.proj(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


@dataclass(frozen=True)
class BlockSize:
    """Size of a block.

    Attributes:
        channels: of a token.
        heads: of the attention, which divide the channels.
        reduction: keys and values are made of squares of so many places a side.
        mlp_ratio: ratio of hidden channels of the feed-forward network.
    """

    channels: int
    heads: int
    reduction: int = 1
    mlp_ratio: int = 2


class TokenAttention(nn.Module):
    """Attention from each token to keys of fewer places.

    Args:
        size: channels, heads and reduction.
    """

    def __init__(self, size: BlockSize) -> None:
        super().__init__()
        channels = size.channels
        self.heads = size.heads
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.proj = nn.Linear(channels, channels)
        if size.reduction > 1:
            self.sr = nn.Conv2d(channels, channels, size.reduction, stride=size.reduction)
            self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to the same shape."""
        source = x
        if hasattr(self, "sr"):
            reduced = self.sr(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            source = self.norm(reduced)
        keys, values = self.kv(source.flatten(1, 2)).chunk(2, dim=-1)
        queries = self.queries(x)
        found = F.scaled_dot_product_attention(
            queries, _by_head(keys, self.heads), _by_head(values, self.heads)
        )
        return self.proj(found.transpose(1, 2).flatten(2)).unflatten(1, x.shape[1:3])

    def queries(self, x: Tensor) -> Tensor:
        """Return the queries (N, heads, tokens, C / heads) of (N, H, W, C)."""
        return _by_head(self.q(x.flatten(1, 2)), self.heads)


class WeatherAttention(TokenAttention):
    """Attention whose queries are learned and do not depend on the image.

    Args:
        size: channels and heads.
        queries: number of learned queries; each is used by a run of consecutive tokens.
    """

    def __init__(self, size: BlockSize, queries: int) -> None:
        super().__init__(size)
        self.task_query = nn.Parameter(torch.randn(1, queries, size.channels))

    def queries(self, x: Tensor) -> Tensor:
        """Return (N, heads, tokens, C / heads): the nearest of the learned queries per token."""
        learned = _by_head(self.q(self.task_query), self.heads)
        n, height, width, _ = x.shape
        # Torch's own rounding of the scale decides which query is the nearest, as published.
        spread = F.interpolate(learned, size=(height * width, learned.shape[-1]))
        return spread.expand(n, -1, -1, -1)


def _by_head(tokens: Tensor, heads: int) -> Tensor:
    """Arrange (N, tokens, C) as (N, heads, tokens, C / heads)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


class _DepthwiseLayer(nn.Module):
    """Holds a depth-wise convolution under the published key ``dwconv``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)


class TokenFeedForward(nn.Module):
    """A feed-forward network with a depth-wise convolution between its layers.

    Args:
        size: channels, and ratio of the hidden ones.
    """

    def __init__(self, size: BlockSize) -> None:
        super().__init__()
        hidden = size.channels * size.mlp_ratio
        self.fc1 = nn.Linear(size.channels, hidden)
        self.dwconv = _DepthwiseLayer(hidden)
        self.fc2 = nn.Linear(hidden, size.channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to the same shape."""
        layer = self.dwconv.dwconv
        mixed = depthwise(self.fc1(x), layer.weight, gated=False, bias=layer.bias)
        return self.fc2(F.gelu(mixed))


Drop = Callable[[Tensor, float], Tensor]
"""Leaves out a residual (N, H, W, C) for a share of the samples, and scales up the others."""


def keep_all(x: Tensor, share: float) -> Tensor:
    """Return ``x`` unchanged: a :data:`Drop` for the test."""
    return x


def dropping(rng: torch.Generator) -> Drop:
    """Return a :data:`Drop` that draws from ``rng``."""

    def drop(x: Tensor, share: float) -> Tensor:
        if share == 0:
            return x
        shape = (len(x), *(1 for _ in x.shape[1:]))
        drawn = torch.rand(shape, generator=rng, device=rng.device)
        return x * (drawn >= share).to(x, non_blocking=True) / (1 - share)

    return drop


class TokenBlock(nn.Module):
    """Attention and the feed-forward network, both residual.

    Args:
        size: of the block.
        drop_path: share of samples for which a residual is left out in training.
        queries: number of learned queries of the attention; 0 takes queries from the tokens.
    """

    def __init__(self, size: BlockSize, drop_path: float, queries: int = 0) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(size.channels, eps=1e-6)
        self.attn = WeatherAttention(size, queries) if queries else TokenAttention(size)
        self.norm2 = nn.LayerNorm(size.channels, eps=1e-6)
        self.mlp = TokenFeedForward(size)

    def forward(self, x: Tensor, drop: Drop) -> Tensor:
        """Map (N, H, W, C) to the same shape."""
        x = x + drop(self.attn(self.norm1(x)), self.drop_path)
        return x + drop(self.mlp(self.norm2(x)), self.drop_path)


@torch.no_grad()
def initialise(part: nn.Module) -> None:
    """Draw initial weights as published: normal, of deviation 0.02 in linear layers.

    A convolution's deviation is the root of 2 / (places of its kernel x outputs / groups). Biases
    are zero.
    """
    for module in part.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
        elif isinstance(module, nn.Conv2d):
            outputs = module.out_channels // module.groups
            fan_out = module.weight[0, 0].numel() * outputs
            nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
