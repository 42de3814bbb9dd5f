"""Tiny networks and the published rule for seeded weights, shared by tests."""

from __future__ import annotations

import importlib.util
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.method import Batch, BuildContext, MethodSpec
from harness.registry import MethodChoice, catalogue, find, instantiate, resolve_options

TASKS = ("denoise15", "denoise25", "denoise50", "dehaze", "derain")


def _can_be_built(spec: MethodSpec) -> bool:
    """Leave out methods that need a file (see tests/test_baselines.py) or a missing package."""
    if spec.needs_file:
        return False
    return not spec.needs_package or importlib.util.find_spec(spec.needs_package) is not None


SPECS = [spec for spec in catalogue().specs.values() if _can_be_built(spec)]
RESTORERS = [spec for spec in SPECS if spec.role != "auxiliary"]
TRAINED = [spec for spec in SPECS if spec.trained]

# A router per level as released, trained by L1 and CPR alone, and prompts that differ at first.
PER_LEVEL = {
    "shared_router": "false",
    "router_pooling": "mean",
    "router_hidden": "0",
    "router_temperature": "1",
    "load_balancing": "share",
    "load_balancing_weight": "0",
    "teacher_weight": "0",
    "teacher_choice": "false",
    "prompt_init": "channel-normal",
    "top_k": "1",
    "cpr_count": "1",
    "cpr_gradient": "full",
    "cpr_negatives": "unselected",
    "cpr_form": "margin",
    "cpr_weight": "0.1",
    "cpr_start": "0",
}


def build_tiny(name: str, seed: int = 0, **overrides: str) -> Any:
    """Build a method at the size `tiny`, with what it requires untrained."""
    spec = catalogue().specs[name] if name in catalogue().specs else find(name).spec
    required = {needed: build_tiny(needed, seed) for needed in spec.requires}
    choice = MethodChoice(name, spec, overrides)
    options = resolve_options(choice, "tiny", TASKS, micro_batch=len(TASKS))
    torch.manual_seed(seed)
    return instantiate(spec, BuildContext(options, TASKS, required))


def batch(side: int = 32, seed: int = 1, step: int = 0, steps: int = 100) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(len(TASKS), 3, side, side, generator=generator)
    noise = 0.1 * torch.randn(clean.shape, generator=generator)
    degraded = (clean + noise).clamp(0, 1)
    drawn = torch.rand(len(TASKS), len(TASKS) - 1, 3, side, side, generator=generator)
    versions = (0.8 * clean[:, None] + 0.2 * drawn).clamp(0, 1)
    return Batch(
        degraded, clean, TASKS, step, steps, second_view=degraded.flip(-1), versions=versions
    )


def first_of(whole: Batch) -> Batch:
    """Return a batch's first sample alone."""
    changed: dict[str, Any] = {"tasks": whole.tasks[:1]}
    for name in ("degraded", "clean", "second_view", "versions"):
        value = getattr(whole, name)
        changed[name] = None if value is None else value[:1]
    return replace(whole, **changed)


def loss_of_two_steps(network: Any, sample: Batch) -> list[float]:
    """Return the loss of two training steps on one batch."""
    network.train()
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=1e-4)
    totals = []
    for _ in range(2):
        terms = network.losses(sample, torch.Generator().manual_seed(0))
        total = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    return totals


def restore(spec: MethodSpec, method: Any, image: Tensor, first_task: int = 0) -> Tensor:
    tasks = tuple(TASKS[first_task : first_task + len(image)]) if spec.needs_task_labels else None
    with torch.no_grad():
        return method.eval().restore(image, tasks)


def restore_by_name(name: str, method: Any, image: Tensor) -> Tensor:
    return restore(find(name).spec, method, image)


def single_runs(name: str, method: Any, images: Tensor) -> Tensor:
    """Restore the images one by one."""
    spec = find(name).spec
    restored = []
    for index in range(len(images)):
        restored.append(restore(spec, method, images[index : index + 1], index))
    return torch.cat(restored)


def _generator(key: str, seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()) + seed))


def seeded_input(shape: list[int], seed: int) -> Tensor:
    return seeded_uniform("input", shape, seed)


def seeded_uniform(key: str, shape: list[int], seed: int) -> Tensor:
    return torch.from_numpy(_generator(key, seed).random(shape).astype(np.float32))


def seeded_normal(key: str, shape: list[int], seed: int) -> Tensor:
    return torch.from_numpy(_generator(key, seed).standard_normal(shape).astype(np.float32))


def seed_weights(module: torch.nn.Module, seed: int) -> None:
    """Fill a module by the rule under which the parity figures were measured."""
    state = {}
    for key, value in module.state_dict().items():
        rng, shape = _generator(key, seed), tuple(value.shape)
        if not value.is_floating_point():
            state[key] = value
            continue
        if key.endswith("running_var"):
            drawn = 0.5 + rng.random(shape)
        elif key.endswith("prompt_param"):
            drawn = 2 * rng.random(shape)
        elif len(shape) >= 2:
            drawn = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        elif key.endswith("weight"):
            drawn = 1 + 0.1 * rng.standard_normal(shape)
        else:
            drawn = 0.1 * rng.standard_normal(shape)
        state[key] = torch.from_numpy(drawn.astype(np.float32))
    module.load_state_dict(state)
