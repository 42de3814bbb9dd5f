"""Trainings of a plan's run that tests interrupt and continue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.evaluation.validation import Validation
from harness.execution.execute import execute
from harness.execution.networks import initial_network
from harness.execution.process import Worker
from harness.execution.progress import PlainProgress
from harness.planning.plan import Plan
from harness.training.checkpoint import load_weights
from harness.training.job import Job, Machine
from harness.training.loop import train


def job_of(plan: Plan, device: str = "cpu", workers: int | None = 0) -> Job:
    run = plan.runs[-1]
    spec = run.method.spec
    pairs = plan.source.validation(run.train)
    versions = spec.needs_versions is not None and spec.needs_versions(run.train.options)
    return Job(
        spec=run.train,
        stream=plan.source.stream(run.train, spec.views, versions),
        validation=Validation(pairs, run.train.tasks, spec.needs_task_labels),
        folder=run.folder,
        runtime=plan.recipe.runtime,
        machine=Machine(device, 1, workers),
    )


def train_required(plan: Plan) -> None:
    """Train the networks that the plan's methods build on."""
    for run in plan.auxiliary:
        outcome = execute(run, plan, Worker("cpu", 1))
        assert not outcome.error


def trained(
    plan: Plan,
    stop: Callable[[], bool] = lambda: False,
    workers: int | None = 0,
    damage: Callable[[Any], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Train the plan's last run and return its weights."""
    run = plan.runs[-1]
    run.folder.path.mkdir(parents=True, exist_ok=True)
    network = initial_network(run)
    if damage is not None:
        damage(network)
    train(network, job_of(plan, workers=workers), PlainProgress("test"), stop)
    return load_weights(run.folder.weights, run.weights_id, run.method.id)


def stop_after(steps: int) -> Callable[[], bool]:
    """Return what stops a training after so many of its steps."""
    calls = iter(range(10**6))
    return lambda: next(calls) >= steps - 1


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
