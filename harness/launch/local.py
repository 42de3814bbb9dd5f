"""The local launcher: joblib workers on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError
from harness.execution.children import follow_parent, signals_held, stop_file_of
from harness.execution.execute import Control, RunOutcome, execute
from harness.execution.locks import wait_for_free
from harness.execution.process import Worker
from harness.execution.status import missing_batches
from harness.launch.signals import stop_on_signals
from harness.planning.plan import Plan
from harness.planning.run import Run


def launch(plan: Plan, worker: Worker) -> list[RunOutcome]:
    """Compute whatever of ``plan`` is missing and return how each computed run ended.

    Runs that others need come first. A run that fails affects only those that need it. Runs that
    another process computes, and those that need one of them, are left for last, and then waited
    for; if that process is killed they are computed here.
    """
    outcomes: list[RunOutcome] = []
    left: list[Run] = []
    with stop_on_signals(stop_file_of(plan.out)) as stop_file:
        batch = _Batch(plan, worker, stop_file)
        for runs in missing_batches(plan):
            ready, waiting = _apart(runs, left)
            outcomes += batch.compute(ready)
            left += [*_held(ready, outcomes), *waiting]
            outcomes = [outcome for outcome in outcomes if not outcome.held]
            if _ends(plan, outcomes):
                return outcomes
        while left and not _ends(plan, outcomes):
            ready, _ = _apart(left, left)
            free = wait_for_free(ready, stop_file.exists)
            ended = batch.compute(free or ready[:1])  # of those, where the user stops it
            held = _held(free, ended)
            outcomes += [outcome for outcome in ended if not outcome.held]
            left = [run for run in left if run in held or run not in free]
    return outcomes


def _ends(plan: Plan, outcomes: Sequence[RunOutcome]) -> bool:
    """Return whether no further run is begun: at a stop, or where a file of weights is refused."""
    if any(outcome.interrupted for outcome in outcomes):
        return True
    return plan.request.checkpoint is not None and any(o.error for o in outcomes)


def _apart(runs: Sequence[Run], left: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Return those of ``runs`` that need none of ``left``, and those that do."""
    missing = {run.id for run in left}
    ready: list[Run] = []
    waiting: list[Run] = []
    for run in runs:
        needs = {needed.id for needed in run.requires}
        (waiting if needs & missing else ready).append(run)
    return ready, waiting


def _held(runs: Sequence[Run], outcomes: Sequence[RunOutcome]) -> list[Run]:
    """Return those of ``runs`` that another process computes."""
    held = {outcome.run_id for outcome in outcomes if outcome.held}
    return [run for run in runs if run.id in held]


@dataclass(frozen=True)
class _Batch:
    """How runs that do not need one another are computed."""

    plan: Plan
    worker: Worker
    stop_file: Path

    def compute(self, runs: Sequence[Run]) -> list[RunOutcome]:
        """Compute those of ``runs`` that no other process computes."""
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        if not runs:
            return []
        jobs = min(self.worker.jobs, len(runs))
        backend = "loky" if jobs > 1 else "sequential"
        parent = os.getpid() if jobs > 1 else None
        tasks = [delayed(_execute)(self, run, parent) for run in runs]
        try:
            with signals_held(forked=False):  # the workers begin here
                ended = Parallel(n_jobs=jobs, backend=backend, return_as="generator")(tasks)
            return list(ended)
        except TerminatedWorkerError as error:
            raise HarnessError(
                "a worker was killed, most likely for lack of memory; run the same command again "
                "with fewer --jobs, and it goes on from the last checkpoints"
            ) from error


def _execute(batch: _Batch, run: Run, parent: int | None) -> RunOutcome:
    if parent is not None:
        follow_parent(parent)
    control = Control(stop=batch.stop_file.exists, live=parent is None, wait=False)
    return execute(run, batch.plan, batch.worker, control)
