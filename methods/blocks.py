"""Restormer's blocks, shared by the networks built from them.

Follows Zamir et al., "Restormer", CVPR 2022 (arXiv 2111.09881), repository
swz30/Restormer, with the same state-dict keys. Inside a block maps are (N, H, W, C): normalisation
runs along the last axis, attention is products of matrices, and nothing is transposed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.attention import Weigh, attend, attend_by_parts, attend_with
from methods.convolutions import pointwise
from methods.kernels.depthwise import Taps
from methods.row_bands import WideConvolution, unchanged


class _Affine(nn.Module):
    """Holds weight and bias under the published key ``body``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))


class LayerNorm(nn.Module):
    """Normalises each pixel over its channels, with weight and bias (eps 1e-5).

    Args:
        channels: channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = _Affine(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to the same shape."""
        return F.layer_norm(x, x.shape[-1:], self.body.weight, self.body.bias, eps=1e-5)


class ChannelAttention(nn.Module):
    """MDTA: attention between channels; its logits are cosine similarities over all pixels.

    Args:
        channels: channels of the map.
        heads: attention heads; they divide the channels.
        bias: whether the convolutions have a bias.
    """

    def __init__(self, channels: int, heads: int, bias: bool = False) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, channels * 3, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(
            channels * 3, channels * 3, 3, padding=1, groups=channels * 3, bias=bias
        )
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor, norm: Callable[[Tensor], Tensor]) -> Tensor:
        """Map (N, H, W, C) to the same shape; ``norm`` is applied to the input first."""
        weight = self.project_out.weight.flatten(1)
        mixing = WideConvolution.of(self.qkv, self.qkv_dwconv, norm)
        out = attend_in_bands(x, mixing, self.temperature, weight)
        if self.project_out.bias is not None:
            out = out + self.project_out.bias.to(out.dtype)
        return out


def attend_in_bands(
    x: Tensor,
    mixing: WideConvolution,
    temperature: Tensor,
    weight: Tensor,
    weigh: Weigh | None = None,
) -> Tensor:
    """Attend between the channels of (N, H, W, C), in bands of rows where no gradient is needed.

    Args:
        x: the map.
        mixing: makes queries, keys and values (N, H, W, 3C) of it.
        temperature: (heads, 1, 1).
        weight: (outputs, C), the projection.
        weigh: replaces the softmax.
    """
    if not torch.is_grad_enabled():
        parts = (part.flatten(1, 2) for _, part in mixing.by_rows(x))
        out = attend_by_parts(parts, x.shape[1] * x.shape[2], temperature, weight, weigh)
    elif weigh is None:
        out = attend(mixing.whole(x).flatten(1, 2), temperature, weight)
    else:
        out = attend_with(weigh, mixing.whole(x).flatten(1, 2), temperature, weight)
    return out.unflatten(1, x.shape[1:3])


class GatedFeedForward(nn.Module):
    """GDFN: a depth-wise convolution, one half of which gates the other through GELU.

    The hidden width of published networks is often odd (127 at width 48), and matrix products of
    such widths run at half speed. So the weights of both halves are extended by zeros to a
    multiple of ``width_multiple`` for the computation; the added channels are zero throughout.

    Args:
        channels: channels of the map.
        expansion: ratio of hidden channels to ``channels``.
        bias: whether the convolutions have a bias.
        activated: whether GELU follows the first convolution too, as in MIRAGE.
    """

    width_multiple = 8

    def __init__(
        self, channels: int, expansion: float, bias: bool = False, activated: bool = False
    ) -> None:
        super().__init__()
        self.activated = activated
        hidden = int(channels * expansion)
        self.project_in = nn.Conv2d(channels, hidden * 2, 1, bias=bias)
        self.dwconv = nn.Conv2d(hidden * 2, hidden * 2, 3, padding=1, groups=hidden * 2, bias=bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to the same shape."""
        return self.project(self.gating(unchanged).whole(x))

    def gating(self, norm: Callable[[Tensor], Tensor]) -> WideConvolution:
        """Return what makes the gated map; ``norm`` is applied to the input first."""
        inner, inner_bias = _extend_halves(self.project_in, self._extra)
        taps, taps_bias = _extend_halves(self.dwconv, self._extra)

        def widen(x: Tensor) -> Tensor:
            hidden = pointwise(norm(x), inner, inner_bias)
            return F.gelu(hidden) if self.activated else hidden

        return WideConvolution(widen, Taps(taps, gated=True, bias=taps_bias))

    def project(self, gated: Tensor) -> Tensor:
        """Map what the gate lets through to (N, H, W, C)."""
        outer = F.pad(self.project_out.weight, (0, 0, 0, 0, 0, self._extra))
        return pointwise(gated, outer, self.project_out.bias)

    @property
    def _extra(self) -> int:
        """How many channels of zeros each half gets."""
        return -self.project_out.in_channels % self.width_multiple


def _extend_halves(layer: nn.Conv2d, extra: int) -> tuple[Tensor, Tensor | None]:
    """Return weight (2h, I, K, K) and bias (2h,), ``extra`` zeros appended to each half."""
    weight, bias = layer.weight, layer.bias
    if not extra:
        return weight, bias
    weight = F.pad(weight.unflatten(0, (2, -1)), (0, 0, 0, 0, 0, 0, 0, extra)).flatten(0, 1)
    if bias is not None:
        bias = F.pad(bias.unflatten(0, (2, -1)), (0, extra)).flatten()
    return weight, bias


class TransformerBlock(nn.Module):
    """Restormer's block: channel attention, then the gated feed-forward network, both residual.

    Args:
        channels: channels of the map.
        heads: attention heads; they divide the channels.
        expansion: ratio of hidden channels of the feed-forward network to ``channels``.
    """

    recomputable = True
    """Whether a forward depends on inputs and parameters alone, so that it may run twice."""

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.attn = ChannelAttention(channels, heads)
        self.norm2 = LayerNorm(channels)
        self.ffn = GatedFeedForward(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; fastest in channels-last memory."""
        y = x.permute(0, 2, 3, 1).contiguous()
        y = add_update(y, self.attn(y, self.norm1))
        return add_feed_forward(y, self.norm2, self.ffn).permute(0, 3, 1, 2)


def add_update(y: Tensor, update: Tensor) -> Tensor:
    """Return ``y + update``; where no gradient is needed, ``update`` becomes it."""
    if torch.is_grad_enabled() or update.dtype != y.dtype:
        return y + update
    return update.add_(y)


def add_feed_forward(y: Tensor, norm: LayerNorm, ffn: GatedFeedForward) -> Tensor:
    """Return ``y + ffn(norm(y))`` for (N, H, W, C); where no gradient is needed, ``y`` becomes it.

    Gradients would need the widest maps whole. Without them some rows at a time save memory, and
    no row that is still to be read has been replaced.
    """
    if torch.is_grad_enabled():
        return y + ffn(norm(y))
    for rows, gated in ffn.gating(norm).by_rows(y):
        y[:, rows] += ffn.project(gated)
    return y


class PatchEmbed(nn.Module):
    """Maps an image to the network's width by a 3x3 convolution."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 3, H, W) to (N, dim, H, W)."""
        return self.proj(x)


class Downsample(nn.Module):
    """Halves the sides and doubles the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 2C, H/2, W/2)."""
        return self.body(x)


class Upsample(nn.Module):
    """Doubles the sides and halves the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels * 2, 3, padding=1, bias=False), nn.PixelShuffle(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C/2, 2H, 2W)."""
        return self.body(x)


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Extend (N, C, H, W) at the bottom and right to multiples of ``multiple``.

    The padding reflects the image where it is large enough, and repeats its border otherwise.
    """
    height, width = image.shape[-2:]
    return pad_to(image, height + -height % multiple, width + -width % multiple)


def pad_to(image: Tensor, height: int, width: int) -> Tensor:
    """Extend (N, C, H, W) at the bottom and right to ``height`` and ``width``.

    The padding reflects the image where it is large enough, and repeats its border otherwise.
    """
    bottom, right = height - image.shape[-2], width - image.shape[-1]
    if not bottom and not right:
        return image
    mode = "reflect" if bottom < image.shape[-2] and right < image.shape[-1] else "replicate"
    return F.pad(image, (0, right, 0, bottom), mode=mode)


def channels_last(x: Tensor) -> Any:
    """Return ``x`` in channels-last memory, the layout the blocks are fastest in."""
    return x.contiguous(memory_format=torch.channels_last)
