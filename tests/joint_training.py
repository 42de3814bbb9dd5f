"""What test_distributed.py computes in one process and in several.

As a program it is one of several processes; its argument is a file of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.config.ranks import ALONE, Ranks, is_joint
from harness.evaluation.validation import Validation
from harness.execution.networks import initial_network
from harness.execution.progress import NoProgress
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.registry import catalogue
from harness.training.checkpoint import state_sha256
from harness.training.distributed import joined
from harness.training.loop import Job, Machine, train
from harness.training.optimisation_step import Optimiser
from methods.onerestore.spec import EMBEDDER
from tests.networks import build_tiny
from tests.plans import plan_of

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
        losses.append(optimiser.step(stream.batch(step, optimiser.slots)))
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


def main(asked: dict[str, Any]) -> None:
    """Compute what a test asks for, as one of several processes."""
    torch.set_num_threads(1)
    plan = joint_plan(Path(asked["folder"]), asked["methods"], asked["batch"], asked["steps"])
    with joined("cpu") if is_joint() else nullcontext(ALONE) as ranks:
        for method in asked["methods"]:
            if "until" in asked:
                train_until(plan, method, ranks, asked["until"])
                continue
            try:
                outcome = two_steps(plan, method, ranks)
            except Exception as error:
                ranks.fail(f"{method}: {error!r}")
            hashes = ranks.exchange(_hash(outcome))
            assert len(set(hashes)) == 1, f"{method}: processes train different networks"
            if ranks.is_first:
                torch.save(vars(outcome), Path(asked["to"]) / f"{method}.pt")


def _hash(outcome: Outcome) -> str:
    # A classifier that serves the pre-training alone is gone where a micro-batch was computed.
    state = {"step": 0, "model": outcome.state, "optimiser": {}, "ema": None, "best": None}
    return state_sha256({**state, "best_score": None, "best_step": None})


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
