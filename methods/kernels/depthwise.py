"""Depth-wise 3x3 convolution on channels-last maps, alone or followed by Restormer's gate.

Registered as torch operators, so that ``torch.compile`` takes them as they are. On a CPU with a
compiler they run the kernels of ``depthwise.cpp``; elsewhere ``plain`` computes the same from
torch's own operators.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.kernels.native import kernels

_NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
_COMPUTE = {torch.bfloat16: torch.float32}


def native(x: Tensor) -> bool:
    """Return whether the compiled kernels take this map."""
    return x.device.type == "cpu" and x.dtype in _NAMES and _loaded()


@torch.compiler.assume_constant_result
def _loaded() -> bool:
    return kernels().library is not None


def depthwise(x: Tensor, weight: Tensor, gated: bool) -> Tensor:
    """Convolve each channel of (N, H, W, C) with its own 3x3 taps, zeros outside.

    Args:
        x: channels-last map, contiguous.
        weight: (C, 1, 3, 3), as ``nn.Conv2d`` keeps it.
        gated: return gelu(first half of the channels) x second half, (N, H, W, C/2).
    """
    if not native(x):
        return plain(x, weight, gated)
    return _forward(x.contiguous(), weight, gated)


def plain(x: Tensor, weight: Tensor, gated: bool) -> Tensor:
    """Compute ``depthwise`` from torch's operators."""
    y = F.conv2d(x.permute(0, 3, 1, 2), weight.to(x.dtype), padding=1, groups=x.shape[-1]).permute(
        0, 2, 3, 1
    )
    if not gated:
        return y
    gate, value = y.chunk(2, dim=-1)
    return F.gelu(gate) * value


def _taps(weight: Tensor, like: Tensor) -> Tensor:
    dtype = _COMPUTE.get(like.dtype, like.dtype)
    return weight.detach().to(dtype).reshape(weight.shape[0], 9).t().contiguous()


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)


def _sizes(x: Tensor, gated: bool) -> list[Any]:
    sizes = [ctypes.c_int64(size) for size in x.shape]
    return [*sizes, ctypes.c_int(gated), ctypes.c_int(torch.get_num_threads())]


@torch.library.custom_op("harness::depthwise", mutates_args=())
def _forward(x: Tensor, weight: Tensor, gated: bool) -> Tensor:
    taps = _taps(weight, x)
    out = x.new_empty(*x.shape[:-1], x.shape[-1] // 2 if gated else x.shape[-1])
    call = getattr(kernels().library, f"depthwise_forward_{_NAMES[x.dtype]}")
    call(_pointer(x), _pointer(taps), _pointer(out), *_sizes(x, gated))
    return out


@_forward.register_fake
def _(x: Tensor, weight: Tensor, gated: bool) -> Tensor:
    return x.new_empty(*x.shape[:-1], x.shape[-1] // 2 if gated else x.shape[-1])


@torch.library.custom_op("harness::depthwise_backward", mutates_args=())
def _backward(
    x: Tensor, weight: Tensor, gradient: Tensor, gated: bool, wants_x: bool, wants_weight: bool
) -> tuple[Tensor, Tensor]:
    """Return the gradients of x and weight; an unwanted one is empty."""
    taps, gradient = _taps(weight, x), gradient.contiguous()
    x_gradient = torch.empty_like(x) if wants_x else None
    taps_gradient = torch.empty_like(taps) if wants_weight else None
    call = getattr(kernels().library, f"depthwise_backward_{_NAMES[x.dtype]}")
    pointers = [_pointer(t) for t in (x, taps, gradient, x_gradient, taps_gradient)]
    call(*pointers, *_sizes(x, gated))
    weight_gradient = weight.new_empty(0)
    if taps_gradient is not None:
        weight_gradient = taps_gradient.t().reshape(weight.shape).to(weight.dtype).contiguous()
    return x_gradient if x_gradient is not None else x.new_empty(0), weight_gradient


@_backward.register_fake
def _(
    x: Tensor, weight: Tensor, gradient: Tensor, gated: bool, wants_x: bool, wants_weight: bool
) -> tuple[Tensor, Tensor]:
    x_gradient = torch.empty_like(x) if wants_x else x.new_empty(0)
    return x_gradient, weight.new_empty(weight.shape if wants_weight else (0,))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, ctx.gated = inputs
    ctx.save_for_backward(x, weight)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    x, weight = ctx.saved_tensors
    wants_x, wants_weight = ctx.needs_input_grad[:2]
    x_gradient, weight_gradient = _backward(x, weight, gradient, ctx.gated, wants_x, wants_weight)
    return x_gradient if wants_x else None, weight_gradient if wants_weight else None, None


_forward.register_autograd(_gradients, setup_context=_setup)
