"""Restormer's channel attention on channels-last maps, with few passes over the pixels.

Multi-Dconv head transposed attention (Zamir et al., CVPR 2022, arXiv 2111.09881) takes the
cosine similarities of channels over all pixels. Only two things here are as large as the image:
a product of queries and keys over the pixels, and one product of the values with a matrix per
image. The norms are divided out of the small similarity matrix, and attention is multiplied
into the output projection beforehand: W (A v) = (W A) v.

The backward pass is written out because autograd would fill three maps of the size of
queries, keys and values together with zeros, one for each slice, and add them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_EPSILON = 1e-12  # torch.nn.functional.normalize's, which the published code calls


@dataclass(frozen=True)
class _Sums:
    """Sums over pixels: squares (N, C) of queries and keys, and their products per head."""

    q_square: Tensor
    k_square: Tensor
    gram: Tensor  # (N, heads, C / heads, C / heads)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.q_square + other.q_square,
            self.k_square + other.k_square,
            self.gram + other.gram,
        )


@dataclass(frozen=True)
class _Small:
    """What follows from the sums; nothing of it grows with the image."""

    sums: _Sums
    cosine: Tensor  # (N, heads, C / heads, C / heads)
    attention: Tensor


def _slices(qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.chunk(3, dim=-1)
    return q, k, v


def _heads(x: Tensor, heads: int) -> list[Tensor]:
    return list(x.chunk(heads, dim=-1))


def _sums(qkv: Tensor, heads: int) -> _Sums:
    q, k, _ = _slices(qkv)
    # bfloat16 maps: the similarities are few, and are kept in float32.
    wide = torch.promote_types(qkv.dtype, torch.float32)
    pairs = zip(_heads(q, heads), _heads(k, heads), strict=True)
    gram = torch.stack([torch.bmm(a.transpose(1, 2), b) for a, b in pairs], dim=1).to(wide)
    return _Sums(_square_sum(q), _square_sum(k), gram)


def _cosine(sums: _Sums, heads: int) -> Tensor:
    q_norm, k_norm = (_norms(s, heads) for s in (sums.q_square, sums.k_square))
    return sums.gram / (q_norm.unsqueeze(-1) * k_norm.unsqueeze(-2))


def _small(sums: _Sums, temperature: Tensor) -> _Small:
    cosine = _cosine(sums, temperature.shape[0])
    attention = (cosine * temperature.to(cosine.dtype)).softmax(dim=-1)
    return _Small(sums, cosine, attention)


def _square_sum(x: Tensor) -> Tensor:
    """Return the sum of squares over the pixels of (N, P, C)."""
    norm = torch.linalg.vector_norm(x, dim=1, dtype=torch.promote_types(x.dtype, torch.float32))
    return norm.square()


def _norms(square: Tensor, heads: int) -> Tensor:
    # Clamped before the root, whose gradient at zero is infinite.
    return square.clamp_min(_EPSILON**2).sqrt().unflatten(-1, (heads, -1))


def _fold(weight: Tensor, attention: Tensor) -> Tensor:
    """Return (N, outputs, C): the projection (outputs, C) after attention, per image."""
    heads = attention.shape[1]
    by_head = weight.unflatten(-1, (heads, -1)).transpose(0, 1)  # (heads, outputs, C / heads)
    return (by_head @ attention.to(weight.dtype)).transpose(1, 2).flatten(-2)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, temperature: Tensor, weight: Tensor) -> Tensor:
        small = _small(_sums(qkv, temperature.shape[0]), temperature)
        folded = _fold(weight.to(qkv.dtype), small.attention)
        ctx.save_for_backward(
            *(qkv, temperature, weight, small.sums.q_square, small.sums.k_square),
            *(small.cosine, small.attention),
        )
        return torch.bmm(_slices(qkv)[2], folded.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        qkv, temperature, weight, q_square, k_square, cosine, attention = ctx.saved_tensors
        (gradient,) = gradients
        q, k, v = _slices(qkv)
        heads, wide = temperature.shape[0], cosine.dtype
        folded = _fold(weight.to(qkv.dtype), attention)
        # With respect to the folded matrices, then to what was folded.
        d_folded = torch.bmm(gradient.transpose(1, 2), v).to(wide)
        d_by_head = d_folded.unflatten(-1, (heads, -1)).transpose(1, 2)
        by_head = weight.to(wide).unflatten(-1, (heads, -1)).transpose(0, 1)
        d_weight = (d_by_head @ attention.transpose(-2, -1)).sum(dim=0).transpose(0, 1).flatten(-2)
        d_attention = by_head.transpose(-2, -1) @ d_by_head
        inner = (d_attention * attention).sum(dim=-1, keepdim=True)
        d_logits = attention * (d_attention - inner)
        d_temperature = (d_logits * cosine).sum(dim=(0, 2, 3)).reshape(temperature.shape)
        d_cosine = d_logits * temperature.to(wide)
        if not ctx.needs_input_grad[0]:
            return None, d_temperature.to(temperature.dtype), d_weight.to(weight.dtype)

        q_norm, k_norm = (_norms(s, heads) for s in (q_square, k_square))
        d_gram = (d_cosine / (q_norm.unsqueeze(-1) * k_norm.unsqueeze(-2))).to(qkv.dtype)
        # Through a norm: -(sum of d_cosine x cosine) / norm^2 times the map itself; a clamped
        # norm is a constant.
        through = d_cosine * cosine
        factors = []
        for dim, square, norm in ((-1, q_square, q_norm), (-2, k_square, k_norm)):
            factor = -(through.sum(dim=dim) / norm.square()).flatten(1)
            factors.append(factor.masked_fill(square.sqrt() < _EPSILON, 0))
        factors.append(torch.zeros_like(factors[0]))  # the place of the values' gradient
        d_qkv = qkv * torch.cat(factors, dim=-1).to(qkv.dtype).unsqueeze(1)
        d_q, d_k, d_v = _slices(d_qkv)
        for head in range(heads):
            gram = d_gram[:, head]
            parts = [_heads(x, heads)[head] for x in (q, k, d_q, d_k)]
            parts[2].baddbmm_(parts[1], gram.transpose(1, 2))
            parts[3].baddbmm_(parts[0], gram)
        d_v.baddbmm_(gradient, folded, beta=0)
        return d_qkv, d_temperature.to(temperature.dtype), d_weight.to(weight.dtype)


def _as_given(device: torch.device) -> Any:
    """Turn autocast off, on devices that have it."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def attend(qkv: Tensor, temperature: Tensor, weight: Tensor) -> Tensor:
    """Attend between channels and project.

    Args:
        qkv: (N, pixels, 3C) queries, keys and values; each splits into heads of equal width.
        temperature: (heads, 1, 1).
        weight: (outputs, C), the projection.

    Returns:
        (N, pixels, outputs), in the dtype of ``qkv``.
    """
    with _as_given(qkv.device):
        out: Tensor = _Attend.apply(qkv, temperature, weight)  # type: ignore[no-untyped-call]
    return out


Weigh = Callable[[Tensor], Tensor]
"""Maps logits (N, heads, C, C) to attention of the same shape, in place of a softmax."""


def attend_with(weigh: Weigh, qkv: Tensor, temperature: Tensor, weight: Tensor) -> Tensor:
    """Compute ``attend`` with ``weigh`` in place of the softmax, through autograd."""
    heads = temperature.shape[0]
    with _as_given(qkv.device):
        logits = _cosine(_sums(qkv, heads), heads) * temperature
        folded = _fold(weight.to(qkv.dtype), weigh(logits))
        return torch.bmm(_slices(qkv)[2], folded.transpose(1, 2))


def attend_by_parts(
    parts: Iterable[Tensor],
    pixels: int,
    temperature: Tensor,
    weight: Tensor,
    weigh: Weigh | None = None,
) -> Tensor:
    """Compute ``attend`` without gradients from consecutive runs of its ``pixels``.

    Queries and keys of one part at a time are held, and the values of all. ``weigh`` takes
    the place of the softmax as in ``attend_with``.
    """
    heads, device = temperature.shape[0], temperature.device
    values: Tensor | None = None
    sums: _Sums | None = None
    begin = 0
    for qkv in parts:  # made here, under whatever autocast the caller has on
        v = _slices(qkv)[2]
        if values is None:
            values = v.new_empty(v.shape[0], pixels, v.shape[2])
        values[:, begin : begin + v.shape[1]] = v
        begin += v.shape[1]
        with _as_given(device):
            of_part = _sums(qkv, heads)
        sums = of_part if sums is None else sums + of_part
    if values is None or sums is None:
        raise ValueError("attention over no pixels")
    with _as_given(device):
        if weigh is None:
            attention = _small(sums, temperature).attention
        else:
            attention = weigh(_cosine(sums, heads) * temperature)
        return torch.bmm(values, _fold(weight.to(values.dtype), attention).transpose(1, 2))


def attend_plainly(qkv: Tensor, temperature: Tensor, weight: Tensor) -> Tensor:
    """Compute ``attend`` as the published code does, for reference."""
    heads = temperature.shape[0]
    q, k, v = (x.unflatten(-1, (heads, -1)).permute(0, 2, 3, 1) for x in _slices(qkv))
    q, k = (torch.nn.functional.normalize(x, dim=-1) for x in (q, k))
    attention = (q @ k.transpose(-2, -1) * temperature).softmax(dim=-1)
    out = (attention @ v).flatten(1, 2).transpose(1, 2)
    return out @ weight.t()
