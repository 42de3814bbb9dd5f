"""Restormer's channel attention on channels-last maps, with few passes over the pixels.

Multi-Dconv head transposed attention (Zamir et al., CVPR 2022, arXiv 2111.09881) computes the
cosine similarities of channels over all pixels. Only two products here grow with the image: that
of queries and keys over the pixels, and that of the values with one matrix per image. The norms are
divided out of the small similarity matrix, and attention is multiplied into the output projection
beforehand: W (A v) = (W A) v.

The backward pass is written by hand because autograd would allocate three maps of the size of
queries, keys and values together, one for each slice, fill them with zeros and add them.
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
    """What is computed from the sums; its size does not depend on the image's."""

    sums: _Sums
    cosine: Tensor  # (N, heads, C / heads, C / heads)
    attention: Tensor


def _slices(qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.chunk(3, dim=-1)
    return q, k, v


def _heads(x: Tensor, heads: int) -> list[Tensor]:
    return list(x.chunk(heads, dim=-1))


def _sums(qkv: Tensor, heads: int, square_sum: Callable[[Tensor], Tensor] | None = None) -> _Sums:
    q, k, _ = _slices(qkv)
    square_sum = square_sum or _square_sum
    # Of bfloat16 maps the similarities, which are few, are stored in float32.
    wide = torch.promote_types(qkv.dtype, torch.float32)
    products = []
    for q_head, k_head in zip(_heads(q, heads), _heads(k, heads), strict=True):
        products.append(torch.bmm(q_head.transpose(1, 2), k_head))
    gram = torch.stack(products, dim=1).to(wide)
    return _Sums(square_sum(q), square_sum(k), gram)


def _cosine(sums: _Sums, heads: int) -> Tensor:
    q_norm, k_norm = _norms(sums.q_square, heads), _norms(sums.k_square, heads)
    return sums.gram / (q_norm.unsqueeze(-1) * k_norm.unsqueeze(-2))


def _small(sums: _Sums, temperature: Tensor) -> _Small:
    cosine = _cosine(sums, temperature.shape[0])
    attention = (cosine * temperature.to(cosine.dtype)).softmax(dim=-1)
    return _Small(sums, cosine, attention)


def _square_sum(x: Tensor) -> Tensor:
    """Return the sum of squares over the pixels of (N, P, C)."""
    norm = torch.linalg.vector_norm(x, dim=1, dtype=torch.promote_types(x.dtype, torch.float32))
    return norm.square()


def _square_sum_by_map(x: Tensor) -> Tensor:
    """Compute ``_square_sum`` with a map of the squares in between.

    Torch's norm along the pixels of a slice of channels reads them one by one, and its sum does
    not. The last bits differ, so trainings keep the norm.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32)).square().sum(dim=1)


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
        sums = small.sums
        of_small = (sums.q_square, sums.k_square, sums.gram, small.cosine, small.attention)
        ctx.save_for_backward(qkv, temperature, weight, *of_small)
        return torch.bmm(_slices(qkv)[2], folded.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        qkv, temperature, weight, q_square, k_square, gram, cosine, attention = ctx.saved_tensors
        small = _Small(_Sums(q_square, k_square, gram), cosine, attention)
        (d_out,) = gradients
        d_small = _small_gradients(qkv, temperature, weight, small, d_out)
        d_qkv = None
        if ctx.needs_input_grad[0]:
            folded = _fold(weight.to(qkv.dtype), attention)
            d_qkv = _qkv_gradient(qkv, small, folded, d_small.cosine, d_out)
        return d_qkv, d_small.temperature, d_small.weight


@dataclass(frozen=True)
class _SmallGradients:
    """Gradients of what does not grow with the image."""

    cosine: Tensor
    temperature: Tensor
    weight: Tensor


def _small_gradients(
    qkv: Tensor, temperature: Tensor, weight: Tensor, small: _Small, d_out: Tensor
) -> _SmallGradients:
    """Return the gradients of similarities, temperature and projection, from the output's."""
    heads, wide, attention = temperature.shape[0], small.cosine.dtype, small.attention
    # First the gradient of the folded matrices, then of the two factors that they are made of.
    d_folded = torch.bmm(d_out.transpose(1, 2), _slices(qkv)[2]).to(wide)
    d_by_head = d_folded.unflatten(-1, (heads, -1)).transpose(1, 2)
    by_head = weight.to(wide).unflatten(-1, (heads, -1)).transpose(0, 1)
    d_weight = (d_by_head @ attention.transpose(-2, -1)).sum(dim=0).transpose(0, 1).flatten(-2)
    d_attention = by_head.transpose(-2, -1) @ d_by_head
    inner = (d_attention * attention).sum(dim=-1, keepdim=True)
    d_logits = attention * (d_attention - inner)
    d_temperature = (d_logits * small.cosine).sum(dim=(0, 2, 3)).reshape(temperature.shape)
    return _SmallGradients(
        cosine=d_logits * temperature.to(wide),
        temperature=d_temperature.to(temperature.dtype),
        weight=d_weight.to(weight.dtype),
    )


def _qkv_gradient(
    qkv: Tensor, small: _Small, folded: Tensor, d_cosine: Tensor, d_out: Tensor
) -> Tensor:
    """Return the gradient of queries, keys and values."""
    heads = d_cosine.shape[1]
    q, k, _ = _slices(qkv)
    q_square, k_square = small.sums.q_square, small.sums.k_square
    q_norm, k_norm = _norms(q_square, heads), _norms(k_square, heads)
    d_gram = (d_cosine / (q_norm.unsqueeze(-1) * k_norm.unsqueeze(-2))).to(qkv.dtype)
    through = d_cosine * small.cosine
    q_factor = _norm_factor(through.sum(dim=-1), q_square, q_norm)
    k_factor = _norm_factor(through.sum(dim=-2), k_square, k_norm)
    v_factor = torch.zeros_like(q_factor)  # values have no norm; their gradient is added below
    factors = torch.cat([q_factor, k_factor, v_factor], dim=-1)
    d_qkv = qkv * factors.to(qkv.dtype).unsqueeze(1)
    d_q, d_k, d_v = _slices(d_qkv)
    for head in range(heads):
        d_q_head, d_k_head = _heads(d_q, heads)[head], _heads(d_k, heads)[head]
        d_q_head.baddbmm_(_heads(k, heads)[head], d_gram[:, head].transpose(1, 2))
        d_k_head.baddbmm_(_heads(q, heads)[head], d_gram[:, head])
    d_v.baddbmm_(d_out, folded, beta=0)
    return d_qkv


def _norm_factor(through: Tensor, square: Tensor, norm: Tensor) -> Tensor:
    """Return (N, C): what the gradient through the norm multiplies the map with.

    It is -(sum of d_cosine x cosine) / norm^2; where the norm is clamped it is constant, so 0.
    """
    factor = -(through / norm.square()).flatten(1)
    return factor.masked_fill(square.sqrt() < _EPSILON, 0)


def as_given(device: torch.device) -> Any:
    """Return a context in which autocast is off, on devices that have it."""
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
    with as_given(qkv.device):
        out: Tensor = _Attend.apply(qkv, temperature, weight)  # type: ignore[no-untyped-call]
    return out


Weigh = Callable[[Tensor], Tensor]
"""Maps logits (N, heads, C, C) to attention of the same shape; it replaces a softmax."""


def attend_with(weigh: Weigh, qkv: Tensor, temperature: Tensor, weight: Tensor) -> Tensor:
    """Compute ``attend`` with ``weigh`` in place of the softmax; autograd differentiates it."""
    heads = temperature.shape[0]
    with as_given(qkv.device):
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
    """Compute ``attend`` without gradients from consecutive parts of its pixels.

    Queries and keys are in memory for one part at a time, the values for all.

    Args:
        parts: (N, pixels of the part, 3C) each.
        pixels: of all parts.
        temperature: (heads, 1, 1).
        weight: (outputs, C), the projection.
        weigh: replaces the softmax, as in ``attend_with``.

    Raises:
        ValueError: there are no parts.
    """
    heads, device = temperature.shape[0], temperature.device
    values: Tensor | None = None
    sums: _Sums | None = None
    begin = 0
    for qkv in parts:  # a lazy part is computed here, under the caller's autocast
        v = _slices(qkv)[2]
        if values is None:
            values = v.new_empty(v.shape[0], pixels, v.shape[2])
        values[:, begin : begin + v.shape[1]] = v
        begin += v.shape[1]
        with as_given(device):
            of_part = _sums(qkv, heads, _square_sum_by_map)
        sums = of_part if sums is None else sums + of_part
    if values is None or sums is None:
        raise ValueError("attention over no pixels")
    with as_given(device):
        if weigh is None:
            attention = _small(sums, temperature).attention
        else:
            attention = weigh(_cosine(sums, heads) * temperature)
        return torch.bmm(values, _fold(weight.to(values.dtype), attention).transpose(1, 2))


def attend_plainly(qkv: Tensor, temperature: Tensor, weight: Tensor) -> Tensor:
    """Compute ``attend`` as the published code does, for reference."""
    heads = temperature.shape[0]
    by_head = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 4, 1)
    q, k, v = by_head.unbind()  # (N, heads, C / heads, pixels) each
    q = torch.nn.functional.normalize(q, dim=-1)
    k = torch.nn.functional.normalize(k, dim=-1)
    attention = (q @ k.transpose(-2, -1) * temperature).softmax(dim=-1)
    out = (attention @ v).flatten(1, 2).transpose(1, 2)
    return out @ weight.t()
