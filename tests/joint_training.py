"""What test_distributed.py computes in one process and in several.

As a program it is one of several processes; its argument is a file of JSON, a list of what they
compute: two steps of methods, or a training that is stopped.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.config.errors import Interrupted
from harness.config.ranks import ALONE, Ranks, is_joint
from harness.evaluation.validation import Validation
from harness.execution.networks import initial_network
from harness.execution.progress import NoProgress
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.registry import catalogue
from harness.training.checkpoint import state_sha256
from harness.training.distributed import joined
from harness.training.job import Job, Machine
from harness.training.loop import train
from harness.training.optimisation_step import Optimiser
from methods.onerestore.spec import EMBEDDER
from tests.networks import build_tiny
from tests.plans import plan_of

ROOT = Path(__file__).parents[1]
LR = 0.001
RECIPE = """
base: smoke
train: {steps: %d, batch: %d, micro_batch: 2, warmup_steps: 0, decay_steps: 99, lr: 0.001,
        validate_every_steps: 3, patch_px: 32}
auxiliary: {steps: 2, batch: %d, micro_batch: 2, patch_px: 32}
test: {images: 2, draws: 1, centre_px: 32}
runtime: {checkpoint_every_steps: 1}
"""


@dataclass(frozen=True)
class Outcome:
    """Two steps of a method: the gradients of the first, the state after both."""

    gradients: dict[str, Tensor]
    state: dict[str, Tensor]
    losses: list[float]


def joint_plan(folder: Path, methods: list[str], batch: int, steps: int = 2) -> Plan:
    """Return a plan whose steps have ``batch / 2`` micro-batches."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    text = RECIPE % (steps, batch, batch)
    if not recipe.exists() or recipe.read_text() != text:
        recipe.write_text(text)
    known = catalogue().specs
    asked = [name for name in methods if name not in known or known[name].role != "auxiliary"]
    if EMBEDDER in methods and "onerestore-visual" not in asked:
        asked.append("onerestore-visual")
    return plan_of(asked, folder, recipe=str(recipe))


def run_of(plan: Plan, method: str) -> Run:
    return next(run for run in plan.all_runs if run.method.id == method)


def two_steps(plan: Plan, method: str, ranks: Ranks = ALONE) -> Outcome:
    """Train a method for two steps; what it requires is untrained."""
    run = run_of(plan, method)
    spec = run.method.spec
    versions = spec.needs_versions is not None and spec.needs_versions(run.train.options)
    stream = plan.source.stream(run.train, spec.views, versions)
    network = build_tiny(method, contrast_features="pixels") if versions else build_tiny(method)
    optimiser = Optimiser(
        network, run.train, stream.train, torch.device("cpu"), lambda line: None, ranks
    )
    gradients: dict[str, Tensor] = {}
    losses = []
    for step in range(2):
        losses.append(optimiser.step(stream.batch(step, optimiser.slots))[-1].total)
        if step == 0:
            for name, parameter in network.named_parameters():
                if parameter.grad is not None:
                    gradients[name] = parameter.grad.clone()
    return Outcome(gradients, {k: v.clone() for k, v in network.state_dict().items()}, losses)


def train_until(plan: Plan, method: str, ranks: Ranks, steps: int | None) -> None:
    """Train a run from its checkpoint, and stop it after some steps."""
    run = run_of(plan, method)
    run.folder.path.mkdir(parents=True, exist_ok=True)
    left = iter(range(10**6))
    stop: Callable[[], bool] = lambda: steps is not None and next(left) >= steps - 1  # noqa: E731
    pairs = plan.source.validation(run.train)
    job = Job(
        spec=run.train,
        stream=plan.source.stream(run.train, run.method.spec.views),
        validation=Validation(pairs, run.train.tasks, False, ranks),
        folder=run.folder,
        runtime=plan.recipe.runtime,
        machine=Machine("cpu", 1, 0, ranks),
    )
    train(initial_network(run), job, NoProgress(), stop)


def joint_environment(rank: int, count: int, port: int) -> dict[str, str]:
    """Return the environment that torchrun gives to one of several processes."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    found = {name: str(value) for name, value in numbers.items()}
    place = {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "test"}
    return {**os.environ, **found, **place, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def together(count: int, file: Path, asked: list[dict[str, Any]]) -> None:
    """Compute what is asked for in ``count`` processes."""
    file.write_text(json.dumps(asked))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = int(bound.getsockname()[1])
    processes = []
    for rank in range(count):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(file)],
            env=joint_environment(rank, count, port),
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    ended = []
    for process in processes:
        _, errors = process.communicate(timeout=3600)
        ended.append((process.returncode, errors))
    assert all(code == 0 for code, _ in ended), ended


def outcome_of(folder: Path, method: str) -> Outcome:
    """Return what several processes computed of a method in a folder."""
    return Outcome(**torch.load(folder / f"{method}.pt", weights_only=True))


def assert_same_training(found: Outcome, expected: Outcome) -> None:
    """Compare two trainings to the rounding of sums.

    Adam divides a gradient by its own size, so that one which is nothing but rounding moves a
    parameter by as much as any other. Few do, and the loss after such a step notices them.
    """
    assert found.losses[0] == pytest.approx(expected.losses[0], rel=1e-5)
    assert found.losses == pytest.approx(expected.losses, rel=1e-3)
    assert found.gradients.keys() == expected.gradients.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.gradients.values())
    for name, gradient in expected.gradients.items():
        difference = float((found.gradients[name] - gradient).abs().max())
        assert difference <= 1e-3 * float(gradient.abs().max()) + 1e-5 * largest, name
    assert found.state.keys() == expected.state.keys()
    # A pre-training wraps the method, and the state has the names of the method alone.
    trained = {name.removeprefix("host.") for name in expected.gradients}
    moved, apart = 0, 0
    for name, value in expected.state.items():
        if name not in trained:
            torch.testing.assert_close(found.state[name], value, rtol=1e-3, atol=1e-4, msg=name)
            continue
        differences = (found.state[name] - value).abs()
        assert float(differences.max()) <= 4.1 * LR, name
        moved += differences.numel()
        apart += int((differences > 0.1 * LR).sum())
    assert moved > 0
    assert apart <= 0.02 * moved


def main(asked: list[dict[str, Any]]) -> None:
    """Compute what a test asks for, as one of several processes."""
    torch.set_num_threads(1)
    with joined("cpu") if is_joint() else nullcontext(ALONE) as ranks:
        for one in asked:
            folder = Path(one["folder"])
            plan = joint_plan(folder, one["methods"], one["batch"], one["steps"])
            for method in one["methods"]:
                if "until" in one:
                    _stopped(plan, method, ranks, one["until"])
                else:
                    _stepped(plan, method, ranks, folder)


def _stopped(plan: Plan, method: str, ranks: Ranks, until: int) -> None:
    said = ""
    try:
        train_until(plan, method, ranks, until)
    except Interrupted as stopped:
        said = str(stopped)
    (plan.out / f"{method}.{ranks.rank}.txt").write_text(said)


def _stepped(plan: Plan, method: str, ranks: Ranks, folder: Path) -> None:
    try:
        outcome = two_steps(plan, method, ranks)
    except Exception as error:
        ranks.fail(f"{method}: {error!r}")
    hashes = ranks.exchange(_hash(outcome))
    assert len(set(hashes)) == 1, f"{method}: processes train different networks"
    if ranks.is_first:
        torch.save(vars(outcome), folder / f"{method}.pt")


def _hash(outcome: Outcome) -> str:
    # A classifier that serves the pre-training alone is gone where a micro-batch was computed.
    state = {"step": 0, "model": outcome.state, "optimiser": {}, "ema": None, "best": None}
    return state_sha256({**state, "best_score": None, "best_step": None})


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
