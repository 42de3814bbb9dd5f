"""Every method's losses and restoration on tensors that claim to be on a GPU, without one.

Fake tensors know device, shape and type, and compute nothing. An operator that gets tensors of two
devices fails, and so does one whose result's shape or value the host would have to ask for. Copies
between the devices that wait for one another are counted. Autograd's engine needs a driver, so
there is a forward pass alone.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

# torch has no public name for either.
from torch._subclasses.fake_tensor import (  # noqa: PLC2701
    DataDependentOutputException,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: PLC2701

from harness.method import Batch, MethodSpec
from harness.registry import catalogue, find
from methods.baselines import start
from methods.baselines.swinir import network as swinir
from methods.baselines.uformer import network as uformer
from methods.kernels import depthwise
from methods.moceir import experts
from methods.prompting import draws
from tests.networks import SPECS, TASKS, batch, build_tiny

JOINED = ["nafnet+cpl", "restormer@dcpt", "restormer+sipl"]
NAMES = [spec.name for spec in SPECS] + JOINED

WAITS = {
    "moceir": "an expert computes the samples that chose it alone, so the host asks which they are",
    "moceir-s": "as moceir",
}
"""Methods that wait for the device in a step, with the reason."""


class WaitingCopies(TorchDispatchMode):
    """Notes copies between CPU and GPU for which the host waits, with the line that asked."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = str(func)
        if name.startswith("aten._to_copy"):
            self._note(args[0], out, kwargs.get("non_blocking", False))
        elif name.startswith("aten.copy_"):
            self._note(args[1], args[0], kwargs.get("non_blocking", len(args) > 2 and args[2]))
        return out

    def _note(self, source: Tensor, target: Tensor, non_blocking: bool) -> None:
        if source.device == target.device:
            return
        if target.device.type == "cpu" or not non_blocking:
            last = traceback.extract_stack()[-3:]
            lines = [frame for frame in traceback.extract_stack() if "/methods/" in frame.filename]
            where = lines[-1] if lines else last[0]
            self.found.append(f"{source.device.type} to {target.device.type} at {where}")


def spec_of(name: str) -> MethodSpec:
    known = catalogue().specs
    return known[name] if name in known else find(name).spec


def on_cuda(tensor: Tensor) -> Tensor:
    return torch.empty_strided(
        tensor.shape,
        tensor.stride(),
        dtype=tensor.dtype,
        device="cuda",
        requires_grad=tensor.requires_grad,
    )


def move(method: Any, attributes: str = "cuda") -> None:
    """Move parameters and buffers, and tensors that a module keeps as plain ``attributes``.

    A forward pass moves those itself, once, from the CPU.
    """
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        method._apply(on_cuda)
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
    for module in method.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                setattr(
                    module, name, torch.empty(value.shape, dtype=value.dtype, device=attributes)
                )


def fake_batch() -> Batch:
    # What begins late in a training is part of its last step.
    whole = batch(step=99, steps=100)
    moved = {}
    for name in ("degraded", "clean", "second_view", "versions"):
        moved[name] = on_cuda(getattr(whole, name))
    return replace(whole, **moved)


@contextmanager
def unreadable_choices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in for what no fake tensor can answer: drawn numbers, and who chose an expert."""
    with monkeypatch.context() as changed:
        for module in (start, swinir, uformer):
            changed.setattr(module, "drawing_from", lambda rng, device: nullcontext())
        every = lambda selected, count: [list(range(len(selected)))] * count  # noqa: E731
        # Fake tensors know no exponential numbers of a generator.
        changed.setattr(draws, "exponential", lambda shape, dtype, rng: torch.empty(shape))
        changed.setattr(experts, "_samples_of_experts", every)
        yield


@pytest.mark.parametrize("name", NAMES)
def test_losses_are_computed_on_the_gpu_without_waiting(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(name)
    if not spec.trained:
        pytest.skip("nothing to train")
    method = build_tiny(name).train()
    copies = WaitingCopies()
    with FakeTensorMode(), unreadable_choices(monkeypatch):
        move(method)
        with copies:
            terms = method.losses(fake_batch(), torch.Generator().manual_seed(0))
    assert {term.device.type for term in terms.values()} == {"cuda"}
    assert {term.shape for term in terms.values()} == {()}
    assert copies.found == []


@pytest.mark.parametrize("name", NAMES)
def test_images_are_restored_on_the_gpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(name)
    method = build_tiny(name).eval()
    with FakeTensorMode(), unreadable_choices(monkeypatch), torch.no_grad():
        move(method, attributes="cpu")
        degraded = on_cuda(torch.empty(len(TASKS), 3, 24, 40))
        restored = method.restore(degraded, TASKS if spec.needs_task_labels else None)
    assert restored.device.type == "cuda"
    assert restored.shape == degraded.shape


@pytest.mark.parametrize("name", sorted(WAITS))
def test_methods_that_wait_do_so(name: str) -> None:
    """A method leaves the list when it waits no more."""
    method = build_tiny(name).train()
    with FakeTensorMode():
        move(method)
        with pytest.raises(DataDependentOutputException):
            method.losses(fake_batch(), torch.Generator().manual_seed(0))


def test_compiled_kernels_are_for_the_cpu_alone() -> None:
    with FakeTensorMode():
        assert not depthwise.native(torch.empty(1, 4, 4, 8, device="cuda"))


def test_a_tensor_on_the_wrong_device_is_found() -> None:
    with FakeTensorMode(), pytest.raises(RuntimeError, match=r"two|devices"):
        torch.empty(3, device="cuda") + torch.empty(3)


def test_a_copy_that_waits_is_found() -> None:
    copies = WaitingCopies()
    with FakeTensorMode():
        gpu = torch.empty(3, device="cuda")
        with copies:
            torch.empty(3).to(gpu, non_blocking=True)
            assert copies.found == []
            torch.empty(3).to(gpu)
            gpu.cpu()
    assert len(copies.found) == 2
