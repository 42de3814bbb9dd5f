"""One training step by operator, as torch's profiler sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from harness.api.speed.limits import OperatorTime, Part, StepProfile, StepProfiles
from harness.api.speed.machine import describe_machine
from harness.api.speed.networks import NetworkCase, has_peer
from harness.api.speed.result import Machine
from harness.api.speed.traffic import depthwise_bytes
from harness.execution.process import worker_of
from harness.execution.step_flop import is_depthwise, product_gflop_of_step
from harness.planning.request import Resources

_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv")
_FUSED_PRODUCTS = ("_scaled_dot_product", "_addmm_activation", "mkldnn_linear")
_OWN_KERNELS = ("harness::depthwise", "GeneratedBackwardFor_harness_depthwise")
"""The kernels; under the second name torch records their forward pass where gradients are asked."""


def profile_step(threads: int | None = None, size: str = "full", batch: int = 2) -> StepProfiles:
    """Return one training step by operator, with the machine's limits.

    The published blocks come first, where they are installed.

    Args:
        threads: compute threads; None takes those of a run.
        size: of the recipe.
        batch: samples of 128x128 pixels.
    """
    from harness.api.speed.steps import our_training, plain_training

    used = worker_of(Resources(device="cpu", threads=threads)).threads
    machine = describe_machine(used, "cpu")
    network = NetworkCase(size=size, batch=batch, side_px=128)
    steps = []
    if has_peer():
        published = plain_training(asdict(network.published()), used)
        gflop = product_gflop_of_step(*network.published().specs())
        steps.append(profiled("published", published.work, gflop, machine))
    ours = our_training(asdict(network), used, counted=False)
    gflop = product_gflop_of_step(*network.specs())
    steps.append(profiled("ours", ours.work, gflop, machine))
    return StepProfiles(steps)


def profiled(
    name: str,
    work: Callable[[], object],
    gflop: float | None,
    machine: Machine,
    clock: Callable[[], float] = time.perf_counter,
) -> StepProfile:
    """Profile one step.

    Args:
        name: whose step.
        work: takes one step; it is called twice before, to warm up and to count bytes.
        gflop: of its products.
        machine: its rates.
        clock: returns seconds.
    """
    work()
    moved_bytes = depthwise_bytes(work)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, record_shapes=True) as found:
        begun_s = clock()
        work()
        step_s = clock() - begun_s
    events = found.key_averages(group_by_input_shape=True)
    return StepProfile(name, step_s, _operators(events), gflop, moved_bytes, machine)


def _operators(events: Sequence[Any]) -> tuple[OperatorTime, ...]:
    """Return the operators of a profile, those that differ in shapes alone put together."""
    sums: dict[tuple[str, Part], tuple[float, int]] = {}
    for event in events:
        key = event.key, part_of(event.key, event.input_shapes)
        own_us, calls = sums.get(key, (0.0, 0))
        sums[key] = own_us + event.self_cpu_time_total, calls + event.count
    found = []
    for (name, part), (own_us, calls) in sums.items():
        found.append(OperatorTime(name, part, own_us / 1e6, calls))
    return tuple(sorted(found, key=lambda operator: -operator.own_s))


def part_of(name: str, shapes: Sequence[Sequence[int]]) -> Part:
    """Return what an operator counts to, by its name and the shapes of its inputs."""
    if name.startswith(_OWN_KERNELS):
        return "depthwise"
    _, _, plain = name.partition("aten::")
    if plain.rstrip("_") in _PRODUCTS or plain.startswith(_FUSED_PRODUCTS):
        return "products"
    if "conv" not in plain:
        return "rest"
    position = 2 if "backward" in plain else 1
    is_grouped = len(shapes) > position and is_depthwise(shapes[position])
    return "depthwise" if is_grouped else "products"
