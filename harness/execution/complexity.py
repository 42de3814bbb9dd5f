"""The complexity of a network: parameters, and multiply-accumulates by torch's own counter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.execution.own_operators import own_operators
from harness.method import BuildContext, MethodSpec
from harness.registry import catalogue, instantiate, parse_options

SIDE_PX = 256
"""Side of the square image for which multiply-accumulates are stated."""

_TASKS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Complexity:
    """What a network costs.

    Attributes:
        parameters: number of parameters, frozen ones included.
        macs: multiply-accumulates for one square image.
    """

    parameters: int
    macs: int


def count(spec: MethodSpec, side_px: int = SIDE_PX) -> Complexity:
    """Build the network of a method at full size without memory for it, and count.

    Products and convolutions count, as far as torch's counter knows them; element-wise operations
    do not, nor do deformable convolutions. There are five tasks, as in the three-task setting.
    Networks whose path depends on values are computed on the CPU, with keyed initial weights.
    """
    try:
        return _count(spec, "meta", side_px)
    except (RuntimeError, NotImplementedError):
        return _count(spec, "cpu", side_px)


def _count(spec: MethodSpec, device: str, side_px: int) -> Complexity:
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(0)
        network = _build(spec)
        image = torch.full((1, 3, side_px, side_px), 0.5)
    tasks = _TASKS[:1] if spec.needs_task_labels else None
    # On the CPU a network may use this project's kernels, of which torch knows no count.
    own = dict.fromkeys(own_operators("depthwise"), _depthwise_flop)
    with FlopCounterMode(display=False, custom_mapping=own) as counter:
        network.eval().restore(image, tasks)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Complexity(parameters, counter.get_total_flops() // 2)


def _depthwise_flop(x: Sequence[int], *rest: Any, out_shape: Sequence[int], **names: Any) -> int:
    """Return the FLOP of a 3x3 convolution of (N, H, W, C), each channel with its own taps."""
    count, height, width, _ = out_shape
    return 2 * 9 * count * height * width * x[-1]


def _build(spec: MethodSpec) -> Any:
    options = parse_options(spec, {**spec.defaults, **spec.sizes.get("full", {})})
    required = {name: _build(catalogue().specs[name]) for name in spec.requires}
    network: Any = instantiate(spec, BuildContext(options, _TASKS, required))
    return network
