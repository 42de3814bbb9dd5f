"""The bytes that depth-wise convolutions must move at least."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.execution.own_operators import DEPTHWISE, own_operators
from harness.execution.step_flop import is_depthwise

_VALUE_BYTES = 4
"""Steps are profiled in fp32."""


def depthwise_bytes(work: Callable[[], object]) -> int:
    """Return what the depth-wise convolutions of ``work`` read and write, in bytes.

    Each map, gradient and weight of a call is counted once, forward and backward.
    """
    aten = torch.ops.aten
    counted: dict[Any, Any] = {
        aten.convolution: _of_convolution,
        aten.convolution_backward: _of_backward,
    }
    counted |= dict.fromkeys(own_operators(*DEPTHWISE), _moved)
    # torch's counter of operations calls these with the shapes of every call, and sums.
    with FlopCounterMode(display=False, custom_mapping=counted) as counter:
        work()
    by_operator = counter.get_flop_counts().get("Global", {})
    return int(sum(by_operator.get(operator, 0) for operator in counted))


def _of_convolution(images: Any, weight: Any, *rest: Any, **names: Any) -> int:
    return _moved(images, weight, *rest, **names) if is_depthwise(weight) else 0


def _of_backward(gradient: Any, images: Any, weight: Any, *rest: Any, **names: Any) -> int:
    return _moved(gradient, images, weight, *rest, **names) if is_depthwise(weight) else 0


def _moved(*inputs: Any, out_shape: Any, **names: Any) -> int:
    """Return the bytes of a call's tensors; what is no shape of a tensor counts nothing."""
    outputs = (out_shape,) if isinstance(out_shape, torch.Size) else out_shape
    shapes = [shape for shape in (*inputs, *outputs) if isinstance(shape, torch.Size)]
    return _VALUE_BYTES * sum(map(math.prod, shapes))
