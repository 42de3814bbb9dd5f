"""Training steps and restorations, ours and those of the peer, on a CPU or a GPU."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from harness.api.speed.networks import TASKS, NetworkCase
from harness.api.speed.subject import Prepared
from harness.data.sources.samples import Samples
from harness.evaluation.restore import restore_batch
from harness.execution.networks import build
from harness.execution.process import keep_freed_memory, prepare_process
from harness.execution.single_steps import optimiser_of
from harness.execution.step_flop import gflop_of_restoring, gflop_of_step

Change = Literal["", "kernels", "attention", "hidden-width", "allocator", "optimiser"]

CHANGES: dict[Change, str] = {
    "kernels": "",
    "attention": "methods.promptir.plainer:with_plain_attention",
    "hidden-width": "methods.promptir.plainer:with_exact_widths",
    "allocator": "",
    "optimiser": "",
}
"""What was done for speed, and what builds the network without it where that differs."""


@dataclass(frozen=True)
class OnGpu:
    """How a GPU is used, which a CPU has no choice of.

    Attributes:
        compiled: whether torch compiles the losses.
        tf32: whether the factors of products are rounded to TF32.
        is_planar: whether weights keep the layout that the training loop changes.
    """

    compiled: bool = False
    tf32: bool = False
    is_planar: bool = False


def our_training(
    case: Mapping[str, Any],
    threads: int,
    device: str = "cpu",
    gpu: Mapping[str, bool] | None = None,
    counted: bool = True,
) -> Prepared:
    """Prepare a step of the training loop's own optimiser.

    Args:
        case: network and batch.
        threads: compute threads.
        device: ``cpu`` or ``cuda``.
        gpu: values of :class:`OnGpu`.
        counted: whether operations are counted.
    """
    how = OnGpu(**(gpu or {}))
    prepare_process(threads)
    _allow_tf32(how.tf32)
    network = NetworkCase.of(case)
    spec, train = network.specs()
    method: Any = build(spec, train, {})
    optimiser = optimiser_of(method, train, device, how.is_planar)
    if how.compiled:
        method.losses = torch.compile(method.losses)
    samples = _samples(network)

    def step() -> None:
        optimiser.step(samples)

    return Prepared(step, gflop_of_step(spec, train) if counted else None)


def plain_training(
    case: Mapping[str, Any],
    threads: int,
    keep_memory: bool = False,
    device: str = "cpu",
    gpu: Mapping[str, bool] | None = None,
) -> Prepared:
    """Prepare a step of a plain training loop, with L1 and torch's defaults.

    ``keep_memory`` has the allocator keep freed memory, as ours does; the rest is as for
    :func:`our_training`.
    """
    how = OnGpu(**(gpu or {}))
    torch.set_num_threads(threads)
    if keep_memory:
        keep_freed_memory()
    _allow_tf32(how.tf32)
    network = NetworkCase.of(case)
    method = build(*network.specs(), {}).to(torch.device(device))
    return Prepared(_plain_step(method, network, device, how.compiled))


def _plain_step(
    method: Any, network: NetworkCase, device: str, compiled: bool
) -> Callable[[], None]:
    """Return a step as published training loops take it."""
    method.train()
    noisy, clean = (images.to(device) for images in _pair(network))
    restore = torch.compile(method.restore) if compiled else method.restore
    optimiser = torch.optim.AdamW(method.parameters(), lr=2e-4, fused=False)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with _autocast(device, network.precision):
            loss = torch.nn.functional.l1_loss(restore(noisy), clean)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(method.parameters(), 1.0, foreach=False)
        optimiser.step()

    return step


def training_without(case: Mapping[str, Any], threads: int, change: Change) -> Prepared:
    """Prepare a step of ours with one of :data:`CHANGES` taken back."""
    if change == "kernels":
        os.environ["HARNESS_KERNELS"] = "off"
    network = NetworkCase.of({**case, "build": CHANGES[change]})
    if change == "allocator":
        torch.set_num_threads(threads)
    else:
        prepare_process(threads)
    spec, train = network.specs()
    method = build(spec, train, {})
    optimiser = optimiser_of(method, train, "cpu")
    if change == "optimiser":
        optimiser.adamw = torch.optim.AdamW(optimiser.trainable, lr=2e-4, fused=False)
    samples = _samples(network)

    def step() -> None:
        optimiser.step(samples)

    return Prepared(step)


def restoring(
    case: Mapping[str, Any],
    threads: int,
    size: tuple[int, int],
    prepared: bool = True,
    counted: bool = False,
    device: str = "cpu",
) -> Prepared:
    """Prepare the restoration of one image.

    Args:
        case: the network.
        threads: compute threads.
        size: height and width of the image in pixels.
        prepared: whether the process keeps freed memory, as ours does.
        counted: whether operations are counted.
        device: where it computes.
    """
    torch.set_num_threads(threads)
    if prepared:
        prepare_process(threads)
    network = NetworkCase.of(case)
    spec, train = network.specs()
    method = build(spec, train, {}).to(torch.device(device))
    method.eval()
    image = _images(1, *size).to(device)

    def restore() -> None:
        with _autocast(device, network.precision):
            restore_batch(method, image, None)

    gflop = gflop_of_restoring(spec, train, *size) if counted else None
    return Prepared(restore, gflop)


def _images(count: int, height: int, width: int) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def _pair(network: NetworkCase) -> tuple[Tensor, Tensor]:
    """Return noisy and clean images of a batch, the same in every process."""
    clean = _images(network.batch, network.side_px, network.side_px)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    return (clean + 0.1 * noise).clamp(0, 1), clean


def _samples(network: NetworkCase) -> Samples:
    noisy, clean = _pair(network)
    tasks = tuple(TASKS[number % len(TASKS)] for number in range(network.batch))
    return Samples(noisy.numpy(), clean.numpy(), tasks, step=0)


def _autocast(device: str, precision: str) -> AbstractContextManager[object]:
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(torch.device(device).type, torch.bfloat16)


def _allow_tf32(allowed: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
