"""The local launcher: joblib workers on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.config.errors import HarnessError
from harness.execution.children import follow_parent, signals_held
from harness.execution.execute import Control, RunOutcome, execute
from harness.execution.process import Worker
from harness.execution.status import missing_batches
from harness.launch.signals import stop_on_signals
from harness.planning.plan import Plan
from harness.planning.run import Run


def launch(plan: Plan, worker: Worker) -> list[RunOutcome]:
    """Compute whatever of ``plan`` is missing and return how each computed run ended.

    Runs that others need come first. A run that fails affects only those that need it. Runs that
    another process computes are left for last, and then waited for.
    """
    stop_file = plan.out / f".stop-{os.getpid()}"
    outcomes: list[RunOutcome] = []
    by_id = {run.id: run for run in plan.all_runs}
    with stop_on_signals(stop_file):
        for ids in worker.ranks.first(partial(_missing_ids, plan)):
            runs = [by_id[run_id] for run_id in ids]
            outcomes += _Batch(plan, worker, stop_file).compute(runs)
            if any(outcome.interrupted for outcome in outcomes):
                break
            if plan.request.checkpoint is not None and any(o.error for o in outcomes):
                break
    return outcomes


def _missing_ids(plan: Plan) -> list[list[str]]:
    return [[run.id for run in runs] for runs in missing_batches(plan)]


@dataclass(frozen=True)
class _Batch:
    """Runs that do not need one another."""

    plan: Plan
    worker: Worker
    stop_file: Path

    def compute(self, runs: Sequence[Run]) -> list[RunOutcome]:
        """Compute the runs that are free, then those that another process held."""
        outcomes = self._side_by_side(runs, wait=False)
        held = []
        for run, outcome in zip(runs, outcomes, strict=True):
            if outcome.held:
                held.append(run)
        ended = [outcome for outcome in outcomes if not outcome.held]
        return ended + self._side_by_side(held, wait=True)

    def _side_by_side(self, runs: Sequence[Run], wait: bool) -> list[RunOutcome]:
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        if not runs:
            return []
        jobs = min(self.worker.jobs, len(runs))
        backend = "loky" if jobs > 1 else "sequential"
        parent = os.getpid() if jobs > 1 else None
        tasks = [delayed(_execute)(self, run, wait, parent) for run in runs]
        try:
            with signals_held(forked=False):  # the workers begin here
                ended = Parallel(n_jobs=jobs, backend=backend, return_as="generator")(tasks)
            return list(ended)
        except TerminatedWorkerError as error:
            raise HarnessError(
                "a worker was killed, most likely for lack of memory; run the same command again "
                "with fewer --jobs, and it goes on from the last checkpoints"
            ) from error


def _execute(batch: _Batch, run: Run, wait: bool, parent: int | None) -> RunOutcome:
    if parent is not None:
        follow_parent(parent)
    control = Control(stop=batch.stop_file.exists, live=parent is None, wait=wait)
    return execute(run, batch.plan, batch.worker, control)
