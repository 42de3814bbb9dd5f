"""Blocks of a network: what is compiled, and what is computed again instead of kept.

A network marks the classes of its blocks as ``recomputable``: a forward is then a function of its
inputs and parameters alone, so that it may run twice. Names in state dicts stay as they are.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from harness.config.errors import is_out_of_memory
from harness.training.job import Job

_PROBE_PX = 32

_SHAPES = 8
"""Compilations that each block may have, one for each shape of its inputs; as torch's own limit."""

_WITH_FORWARD = "force_non_lazy_backward_lowering"
"""torch's setting under which a backward pass that cannot be compiled fails in the forward pass."""


def prepare_blocks(method: Any, job: Job, device: torch.device, log: Callable[[str], None]) -> None:
    """Compile a method's blocks, and have those computed again for which memory is short.

    What cannot be done is a line of the log, and the training goes on without.
    """
    runtime = job.runtime
    if not runtime.compile and runtime.activation_bytes is None:
        return
    blocks = blocks_of(method)
    if runtime.compile:
        _compile(blocks, device, log)
    allowed = runtime.activation_bytes
    if allowed is not None:
        _keep_less(method, job, blocks, allowed, log)


def blocks_of(method: nn.Module) -> list[nn.Module]:
    """Return the outermost modules that are marked as recomputable, in order."""
    found: list[nn.Module] = []
    inner: set[int] = set()
    for module in method.modules():
        if getattr(module, "recomputable", False) and id(module) not in inner:
            found.append(module)
            inner |= {id(part) for part in module.modules()}
    return found


def _compile(blocks: list[nn.Module], device: torch.device, log: Callable[[str], None]) -> None:
    """Let ``torch.compile`` compile each block at its first forward in training."""
    if not blocks:
        log("compile: this network marks no blocks that could be compiled; trains without")
        return
    try:
        torch.compile(torch.sin, dynamic=False)(torch.zeros(2, device=device))
    except Exception as error:  # a compiler that is absent or broken shows in many ways
        log(f"compile: torch.compile does not work here ({_reason(error)}); trains without")
        return
    _allow_compilations(_SHAPES * len(blocks))
    given_up: set[type[nn.Module]] = set()
    for block in blocks:
        _replace_forward(block, _compiled_or_not(block, given_up, log))
    log(f"compile: {len(blocks)} blocks are compiled in their first step")
    if device.type == "cpu":
        log(
            "compile: on a CPU the first step takes minutes, and blocks that use this project's "
            "kernels become slower; compare with some steps without it"
        )


def _allow_compilations(count: int) -> None:
    """Let torch compile the code that blocks of one class share so often; it stops at 8 otherwise.

    What cannot be differentiated is refused with the forward pass, not in the backward pass.
    """
    dynamo = importlib.import_module("torch._dynamo.config")
    for name in ("recompile_limit", "cache_size_limit", "accumulated_recompile_limit"):
        if hasattr(dynamo, name):  # the first two are names of one, and of different versions
            setattr(dynamo, name, max(count, getattr(dynamo, name)))
    backward = importlib.import_module("torch._functorch.config")
    if hasattr(backward, _WITH_FORWARD):
        setattr(backward, _WITH_FORWARD, True)


def _compiled_or_not(
    block: nn.Module, given_up: set[type[nn.Module]], log: Callable[[str], None]
) -> Callable[..., Any]:
    """Return a compiled forward that goes back to the block's own where it cannot be compiled.

    Each shape is compiled by itself: with shapes that vary in one graph inductor fails on CPUs.
    Once a block of a class has failed, the others of the class are not tried.
    """
    own, kind = block.forward, type(block)
    compiled = torch.compile(own, dynamic=False)

    def forward(*inputs: Any, **named: Any) -> Any:
        if kind not in given_up:
            try:
                return compiled(*inputs, **named)
            except Exception as error:  # of any part of a compiler
                if is_out_of_memory(error):
                    raise
                given_up.add(kind)
                log(
                    f"compile: {kind.__name__} cannot be compiled ({_reason(error)}); such "
                    "blocks train without"
                )
        return own(*inputs, **named)

    return forward


def _reason(error: Exception) -> str:
    """Return the first line of an error, and the second where the first only announces it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def _keep_less(
    method: Any,
    job: Job,
    blocks: list[nn.Module],
    allowed_bytes: int,
    log: Callable[[str], None],
) -> None:
    """Have as many blocks computed again as it takes, those first that keep most."""
    optimisation = job.stream.train
    patch = optimisation.patch_px
    samples = optimisation.micro_batch or optimisation.batch
    scale = samples * (patch / _PROBE_PX) ** 2
    kept, others = _kept_bytes(method, blocks, job.spec.tasks[:1])
    left = int(scale * (sum(kept) + others))
    before, again, largest = left, 0, 0
    for number in sorted(range(len(blocks)), key=lambda index: -kept[index]):
        if left + largest <= allowed_bytes or not kept[number]:
            break
        # While the backward pass is in a block, what that block keeps is there after all.
        largest = max(largest, int(scale * kept[number]))
        left -= int(scale * kept[number])
        _compute_again(blocks[number])
        again += 1
    text = (
        f"activation_memory: {again} of {len(blocks)} blocks are computed again, which keeps about "
        f"{(left + largest) / 1e9:.2f} of {before / 1e9:.2f} GB"
    )
    if left + largest > allowed_bytes:
        text += f"; that is more than {job.runtime.activation_memory}, so lower micro_batch"
    log(text)


def _compute_again(block: nn.Module) -> None:
    """Keep a block's inputs alone; its backward pass computes it again, with the same numbers."""
    forward = block.forward

    def kept_inputs(*inputs: Any, **named: Any) -> Any:
        # What is frozen now is so when the block is computed again, and saves the same tensors.
        trained = [parameter.requires_grad for parameter in block.parameters()]

        def again(*inputs: Any, **named: Any) -> Any:
            now = [parameter.requires_grad for parameter in block.parameters()]
            _train(block, trained)
            try:
                return forward(*inputs, **named)
            finally:
                _train(block, now)

        return checkpoint(again, *inputs, use_reentrant=False, **named)

    _replace_forward(block, kept_inputs)


def _train(block: nn.Module, trained: Sequence[bool]) -> None:
    for parameter, is_trained in zip(block.parameters(), trained, strict=True):
        parameter.requires_grad_(is_trained)


def _replace_forward(block: nn.Module, forward: Callable[..., Any]) -> None:
    """Use another forward where gradients are computed in training."""
    own = block.forward

    @wraps(own)
    def chosen(*inputs: Any, **named: Any) -> Any:
        trains = block.training and torch.is_grad_enabled()
        return forward(*inputs, **named) if trains else own(*inputs, **named)

    block.forward = chosen


class _Kept:
    """What each block keeps for its backward pass, in bytes; everything else under None."""

    def __init__(self, method: nn.Module) -> None:
        self.current: nn.Module | None = None
        self.found: dict[int | None, int] = {}
        # Parameters are there anyway.
        self.seen = {parameter.untyped_storage().data_ptr() for parameter in method.parameters()}

    def enter(self, block: nn.Module, inputs: Any) -> None:
        self.current = block

    def leave(self, block: nn.Module, inputs: Any, output: Any) -> None:
        self.current = None

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.seen:
            self.seen.add(storage.data_ptr())
            key = None if self.current is None else id(self.current)
            self.found[key] = self.found.get(key, 0) + storage.nbytes()
        return tensor.detach()  # of its own output, an operation would never be freed


def _kept_bytes(
    method: Any, blocks: list[nn.Module], tasks: tuple[str, ...]
) -> tuple[list[int], int]:
    """Return what each block keeps of one small sample, and what the rest does, in bytes."""
    kept = _Kept(method)
    handles: list[Any] = []
    for block in blocks:
        handles.append(block.register_forward_pre_hook(kept.enter))
        handles.append(block.register_forward_hook(kept.leave))
    was_training = method.training
    method.eval()  # a probe leaves no trace in running statistics
    device = next(method.parameters()).device
    try:
        with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
            image = torch.zeros(1, 3, _PROBE_PX, _PROBE_PX, device=device)
            restored = method.restore(image, tasks)
    finally:
        for handle in handles:
            handle.remove()
        method.train(was_training)
    del restored
    return [kept.found.get(id(block), 0) for block in blocks], kept.found.get(None, 0)
