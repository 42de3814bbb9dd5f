"""Floating-point operations of a training step and of a restoration, by torch's own counter.

Products and convolutions count, and element-wise operations do not. They are counted without
memory for the values, so that the compiled kernels and the device make no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from harness.config.run_specs import TrainSpec
from harness.execution.networks import build
from harness.method import Batch, Method, MethodSpec


def gflop_of_step(spec: MethodSpec, train: TrainSpec) -> float | None:
    """Return the GFLOP of losses and gradients of one step; None where they cannot be counted.

    Args:
        spec: of the method.
        train: options, tasks, and an optimisation with batch and patch.
    """
    return _gflop(spec, train, _step_of(train))


def product_gflop_of_step(spec: MethodSpec, train: TrainSpec) -> float | None:
    """Return the GFLOP of one step without those of depth-wise convolutions.

    See :func:`gflop_of_step`. Depth-wise convolutions run at the rate of memory, not of products.
    """
    return _gflop(spec, train, _step_of(train), {torch.ops.aten.convolution: _dense_convolution})


def _step_of(train: TrainSpec) -> Callable[[Method], None]:
    optimisation = train.optimisation
    assert optimisation is not None
    size = (optimisation.batch, optimisation.patch_px, optimisation.patch_px)

    def step(network: Method) -> None:
        images = _images(*size)
        tasks = [train.tasks[number % len(train.tasks)] for number in range(optimisation.batch)]
        samples = Batch(images, images.clone(), tuple(tasks), 0, optimisation.steps)
        terms = network.train().losses(samples, torch.Generator().manual_seed(0))
        torch.stack([term.float() for term in terms.values()]).sum().backward()  # type: ignore[no-untyped-call]

    return step


def gflop_of_restoring(spec: MethodSpec, train: TrainSpec, height: int, width: int) -> float | None:
    """Return the GFLOP of restoring one image; None where they cannot be counted."""

    def restore(network: Method) -> None:
        with torch.no_grad():
            network.eval().restore(_images(1, height, width))

    return _gflop(spec, train, restore)


def is_depthwise(weight: Sequence[int]) -> bool:
    """Return whether a convolution with weights of this shape is depth-wise."""
    return len(weight) > 2 and weight[0] > 1 and weight[1] == 1


def _gflop(
    spec: MethodSpec,
    train: TrainSpec,
    work: Callable[[Method], None],
    forward: Mapping[Any, Any] | None = None,
) -> float | None:
    backward = _convolution_backward if forward is None else _dense_convolution_backward
    counted = {torch.ops.aten.convolution_backward: backward, **(forward or {})}
    try:
        with torch.device("meta"):
            network = build(spec, train, {})
            with FlopCounterMode(display=False, custom_mapping=counted) as counter:
                work(network)
    except (RuntimeError, NotImplementedError):  # a path that depends on values
        return None
    return float(counter.get_total_flops()) / 1e9


def _images(count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 3, height, width, device="meta")


def _convolution_backward(
    gradient: Sequence[int], images: Sequence[int], weight: Sequence[int], *rest: Any, **names: Any
) -> int:
    """Count each gradient as the convolution itself.

    torch's formula counts every group of a grouped convolution as if it saw all channels.
    """
    transposed, mask = rest[4], rest[-1]
    once = conv_flop_count(list(images), list(weight), list(gradient), transposed=transposed)
    return int(once) * (bool(mask[0]) + bool(mask[1]))


def _dense_convolution(
    images: Sequence[int], weight: Sequence[int], *rest: Any, out_shape: Any, **names: Any
) -> int:
    if is_depthwise(weight):
        return 0
    transposed = rest[4]
    return int(conv_flop_count(list(images), list(weight), list(out_shape), transposed=transposed))


def _dense_convolution_backward(
    gradient: Sequence[int], images: Sequence[int], weight: Sequence[int], *rest: Any, **names: Any
) -> int:
    if is_depthwise(weight):
        return 0
    return _convolution_backward(gradient, images, weight, *rest, **names)
