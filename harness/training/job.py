"""One training: what is trained, on what, where, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.config.ranks import ALONE, Ranks
from harness.config.recipes import Runtime
from harness.config.run_specs import TrainSpec
from harness.data.sources.protocol import TrainingStream
from harness.store.run_folder import RunFolder
from harness.training.progress import Validated, report_nothing
from harness.training.validation import Validator


def nothing_to_check() -> None:
    """Let every write pass: nobody else can compute the run."""


@dataclass(frozen=True)
class Machine:
    """Where and how a run is computed; nothing here is meant to change a number.

    Attributes:
        device: a torch device.
        threads: compute threads.
        loader_workers: processes that make batches ahead; 0 makes them in the step, and None has a
            thread of this process make them ahead.
        ranks: the processes that train together, of which each gets a machine of its own.
    """

    device: str
    threads: int
    loader_workers: int | None
    ranks: Ranks = ALONE


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        spec: what determines the weights.
        stream: makes the training batches.
        validation: scores the method on validation images.
        folder: where weights, checkpoint and provenance are stored.
        runtime: how often a checkpoint is saved, and what else changes no number.
        machine: what it runs on.
        made_with: returns what else the provenance of the weights says, when they are there.
        on_validated: receives the course of the training at each validation.
        check: called before each write; raises where another process computes the run.
    """

    spec: TrainSpec
    stream: TrainingStream
    validation: Validator
    folder: RunFolder
    runtime: Runtime
    machine: Machine
    made_with: Callable[[], Mapping[str, Any]] = dict
    on_validated: Callable[[Validated], None] = report_nothing
    check: Callable[[], None] = nothing_to_check
