"""The local launcher: joblib workers on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from harness.config.errors import HarnessError
from harness.execution.execute import RunOutcome, execute
from harness.execution.process import Worker
from harness.execution.status import run_status
from harness.launch.signals import ignore_interrupts, stop_on_signals
from harness.planning.plan import Plan
from harness.planning.run import Run


def launch(plan: Plan, worker: Worker) -> list[RunOutcome]:
    """Compute whatever of ``plan`` is missing and return how each computed run ended.

    Runs that others need come first. A run that fails affects only those that need it.
    """
    todo = [run for run in plan.runs if run_status(run, plan) != "done"]
    needed = {required.weights_id for run in todo for required in run.requires}
    auxiliary = [
        run
        for run in plan.auxiliary
        if run.weights_id in needed and run_status(run, plan) != "done"
    ]
    outcomes: list[RunOutcome] = []
    for runs in (auxiliary, todo):
        if runs:
            outcomes += _side_by_side(runs, plan, worker)
        if any(outcome.interrupted for outcome in outcomes):
            break
    return outcomes


def _side_by_side(runs: Sequence[Run], plan: Plan, worker: Worker) -> list[RunOutcome]:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    stop_file = plan.out / f".stop-{os.getpid()}"
    jobs = min(worker.jobs, len(runs))
    backend = "loky" if jobs > 1 else "sequential"
    tasks = [delayed(_execute)(run, plan, worker, stop_file, jobs > 1) for run in runs]
    try:
        with stop_on_signals(stop_file):
            return list(Parallel(n_jobs=jobs, backend=backend)(tasks))
    except TerminatedWorkerError as error:
        raise HarnessError(
            "a worker was killed, most likely for lack of memory; run the same command again with "
            "fewer --jobs, and it goes on from the last checkpoints"
        ) from error


def _execute(run: Run, plan: Plan, worker: Worker, stop_file: Path, in_worker: bool) -> RunOutcome:
    if in_worker:
        ignore_interrupts()
    return execute(run, plan, worker, stop_file.exists, live=not in_worker)
