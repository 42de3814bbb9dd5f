"""Depth-wise 3x3 convolution on channels-last maps, alone or followed by Restormer's gate.

Both are torch operators, so that ``torch.compile`` does not trace into them. On a CPU with a
compiler they run the kernels of ``depthwise.cpp``; otherwise ``plain`` computes the same from
torch's own operators.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.kernels.native import kernels

_NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
_COMPUTE = {torch.bfloat16: torch.float32}


def native(x: Tensor) -> bool:
    """Return whether compiled kernels are there for a map of this device and precision."""
    return x.device.type == "cpu" and x.dtype in _NAMES and _loaded()


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


def plain(x: Tensor, weight: Tensor, gated: bool, bias: Tensor | None = None) -> Tensor:
    """Compute ``depthwise`` from torch's operators."""
    y = F.conv2d(
        x.permute(0, 3, 1, 2),
        weight.to(x.dtype),
        None if bias is None else bias.to(x.dtype),
        padding=1,
        groups=x.shape[-1],
    ).permute(0, 2, 3, 1)
    if not gated:
        return y
    gate, value = y.chunk(2, dim=-1)
    return F.gelu(gate) * value


def _taps(weight: Tensor, bias: Tensor | None, like: Tensor) -> Tensor:
    """Return (9, C), the taps, or (10, C) with a bias as the last row."""
    dtype = _COMPUTE.get(like.dtype, like.dtype)
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
    taps = _taps(weight, bias, x)
    out = x.new_empty(*x.shape[:-1], x.shape[-1] // 2 if gated else x.shape[-1])
    call = getattr(kernels().library, f"depthwise_forward_{_NAMES[x.dtype]}")
    call(_pointer(x), _pointer(taps), _pointer(out), *_sizes(x, gated, bias is not None))
    return out


@_forward.register_fake
def _(x: Tensor, weight: Tensor, gated: bool, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], x.shape[-1] // 2 if gated else x.shape[-1])


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
    call = getattr(kernels().library, f"depthwise_backward_{_NAMES[x.dtype]}")
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
