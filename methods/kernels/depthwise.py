"""Depth-wise 3x3 convolution on channels-last maps, alone or followed by Restormer's gate.

Both are torch operators, so that ``torch.compile`` does not trace into them. On a CPU with a
compiler they run the kernels of ``depthwise.cpp``; otherwise ``plain`` computes the same from
torch's own operators.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.kernels.native import kernels

NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
"""Types of maps, by which the kernels' functions are called."""

COMPUTE = {torch.bfloat16: torch.float32}
"""Types of taps and sums, where they are not the map's."""


def native(x: Tensor) -> bool:
    """Return whether compiled kernels are there for a map of this device and precision."""
    return x.device.type == "cpu" and x.dtype in NAMES and _loaded()


@torch.compiler.assume_constant_result
def _loaded() -> bool:
    return kernels().library is not None


def depthwise(x: Tensor, weight: Tensor, gated: bool, bias: Tensor | None = None) -> Tensor:
    """Convolve each channel of (N, H, W, C) with its own 3x3 taps, padded with zeros.

    Args:
        x: channels-last map, contiguous.
        weight: (C, 1, 3, 3), as in ``nn.Conv2d``.
        gated: whether to return gelu(first half of the channels) x second half, (N, H, W, C/2).
        bias: (C,), added before the gate.
    """
    if not native(x):
        return plain(x, weight, gated, bias)
    return _forward(x.contiguous(), weight, gated, bias)


@dataclass(frozen=True)
class Taps:
    """What ``depthwise`` does to a map: 3x3 taps per channel, a bias, and the gate.

    Attributes:
        weight: (C, 1, 3, 3), as in ``nn.Conv2d``.
        gated: whether the result is gelu(first half of the channels) x second half.
        bias: (C,), added before the gate.
    """

    weight: Tensor
    gated: bool
    bias: Tensor | None = None


def depthwise_rows(x: Tensor, above: Tensor | None, open_below: bool, taps: Taps) -> Tensor:
    """Compute ``depthwise`` of some rows of a map, without gradients.

    Args:
        x: (N, rows, W, C), contiguous.
        above: (N, 2, W, C), the two rows before ``x``; None where ``x`` begins the map. The row
            before ``x`` is computed as well: it had to wait for the first of ``x``.
        open_below: whether rows follow. The last row then waits for them.
        taps: the convolution and its gate.
    """
    if not native(x):
        return plain_rows(x, above, open_below, taps)
    above = None if above is None else above.contiguous()
    return _forward_rows(x.contiguous(), above, open_below, taps.weight, taps.gated, taps.bias)


def plain(x: Tensor, weight: Tensor, gated: bool, bias: Tensor | None = None) -> Tensor:
    """Compute ``depthwise`` from torch's operators."""
    return plain_rows(x, None, False, Taps(weight, gated, bias))


def plain_rows(x: Tensor, above: Tensor | None, open_below: bool, taps: Taps) -> Tensor:
    """Compute ``depthwise_rows`` from torch's operators."""
    is_whole = above is None and not open_below
    if not is_whole:
        known = x if above is None else torch.cat([above, x], dim=1)
        x = F.pad(known, (0, 0, 0, 0, int(above is None), int(not open_below)))
    y = F.conv2d(
        x.permute(0, 3, 1, 2),
        taps.weight.to(x.dtype),
        None if taps.bias is None else taps.bias.to(x.dtype),
        padding=(int(is_whole), 1),
        groups=x.shape[-1],
    ).permute(0, 2, 3, 1)
    if not taps.gated:
        return y
    gate, value = y.chunk(2, dim=-1)
    return F.gelu(gate) * value


def _taps(weight: Tensor, bias: Tensor | None, like: Tensor) -> Tensor:
    """Return (9, C), the taps, or (10, C) with a bias as the last row."""
    dtype = COMPUTE.get(like.dtype, like.dtype)
    taps = weight.detach().to(dtype).reshape(weight.shape[0], 9).t()
    if bias is not None:
        taps = torch.cat([taps, bias.detach().to(dtype)[None]])
    return taps.contiguous()


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)


def _sizes(x: Tensor, gated: bool, biased: bool) -> list[Any]:
    n, height, width, channels = map(ctypes.c_int64, x.shape)
    threads = ctypes.c_int(torch.get_num_threads())
    return [n, height, width, channels, ctypes.c_int(gated), ctypes.c_int(biased), threads]


@torch.library.custom_op("harness::depthwise", mutates_args=())
def _forward(x: Tensor, weight: Tensor, gated: bool, bias: Tensor | None) -> Tensor:
    return _computed(x, None, False, Taps(weight, gated, bias))


@_forward.register_fake
def _(x: Tensor, weight: Tensor, gated: bool, bias: Tensor | None) -> Tensor:
    return _room(x, None, False, gated)


@torch.library.custom_op("harness::depthwise_rows", mutates_args=())
def _forward_rows(
    x: Tensor,
    above: Tensor | None,
    open_below: bool,
    weight: Tensor,
    gated: bool,
    bias: Tensor | None,
) -> Tensor:
    return _computed(x, above, open_below, Taps(weight, gated, bias))


@_forward_rows.register_fake
def _(
    x: Tensor,
    above: Tensor | None,
    open_below: bool,
    weight: Tensor,
    gated: bool,
    bias: Tensor | None,
) -> Tensor:
    return _room(x, above, open_below, gated)


def _computed(x: Tensor, above: Tensor | None, open_below: bool, taps: Taps) -> Tensor:
    columns = _taps(taps.weight, taps.bias, x)
    out = _room(x, above, open_below, taps.gated)
    call = getattr(kernels().library, f"depthwise_forward_{NAMES[x.dtype]}")
    given = [_pointer(x), _pointer(above), ctypes.c_int(open_below)]
    sizes = _sizes(x, taps.gated, taps.bias is not None)
    call(*given, _pointer(columns), _pointer(out), *sizes)
    return out


def _room(x: Tensor, above: Tensor | None, open_below: bool, gated: bool) -> Tensor:
    """Return an empty map of the rows and channels that are computed."""
    n, rows, width, channels = x.shape
    rows += int(above is not None) - int(open_below)
    return x.new_empty(n, rows, width, channels // 2 if gated else channels)


@torch.library.custom_op("harness::depthwise_backward", mutates_args=())
def _backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    gradient: Tensor,
    gated: bool,
    wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of x, weight and bias; an unwanted one is empty.

    ``wanted`` states whether that of x is, and whether those of weight and bias are.
    """
    wants_x, wants_taps = wanted
    taps, gradient = _taps(weight, bias, x), gradient.contiguous()
    x_gradient = torch.empty_like(x) if wants_x else None
    taps_gradient = torch.empty_like(taps) if wants_taps else None
    call = getattr(kernels().library, f"depthwise_backward_{NAMES[x.dtype]}")
    pointers = [_pointer(t) for t in (x, taps, gradient, x_gradient, taps_gradient)]
    call(*pointers, *_sizes(x, gated, bias is not None))
    weight_gradient, bias_gradient = weight.new_empty(0), weight.new_empty(0)
    if taps_gradient is not None:
        found = taps_gradient[:9].t().reshape(weight.shape)
        weight_gradient = found.to(weight.dtype).contiguous()
        if bias is not None:
            bias_gradient = taps_gradient[9].to(bias.dtype, copy=True)
    return x_gradient if x_gradient is not None else x.new_empty(0), weight_gradient, bias_gradient


@_backward.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    gradient: Tensor,
    gated: bool,
    wanted: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    wants_x, wants_taps = wanted
    x_gradient = torch.empty_like(x) if wants_x else x.new_empty(0)
    has_bias = wants_taps and bias is not None
    return (
        x_gradient,
        weight.new_empty(weight.shape if wants_taps else (0,)),
        weight.new_empty(weight.shape[:1] if has_bias else (0,)),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, ctx.gated, bias = inputs
    ctx.save_for_backward(x, weight, bias)


def _gradients(
    ctx: Any, gradient: Tensor
) -> tuple[Tensor | None, Tensor | None, None, Tensor | None]:
    x, weight, bias = ctx.saved_tensors
    wants_x, wants_weight, _, wants_bias = ctx.needs_input_grad
    x_gradient, weight_gradient, bias_gradient = _backward(
        x, weight, bias, gradient, ctx.gated, [wants_x, wants_weight or wants_bias]
    )
    return (
        x_gradient if wants_x else None,
        weight_gradient if wants_weight else None,
        None,
        bias_gradient if wants_bias else None,
    )


_forward.register_autograd(_gradients, setup_context=_setup)
