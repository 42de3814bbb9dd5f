"""The local launcher: joblib's worker processes on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path

from harness.config.errors import HarnessError
from harness.execution.children import follow_parent, signals_held, stop_file_of
from harness.execution.execute import Control, RunOutcome, execute
from harness.execution.process import Worker
from harness.execution.status import missing_runs
from harness.launch.signals import stop_on_signals
from harness.launch.waiting import WaitingRuns
from harness.planning.plan import Plan
from harness.planning.run import Run

_IDLE_S = 300
"""How long a worker process without work stays for the next plan."""


def launch(plan: Plan, worker: Worker) -> list[RunOutcome]:
    """Compute whatever of ``plan`` is missing and return how each computed run ended.

    A run that fails affects only those that need it. Runs that another process computes are left
    for last, and then waited for. Workers share the GPUs of this machine evenly.
    """
    runs = missing_runs(plan)
    jobs = min(worker.jobs, len(runs))
    with stop_on_signals(stop_file_of(plan.out)) as stop_file:
        computing = _Computing(plan, worker, stop_file, jobs)
        ended = computing.side_by_side(runs) if jobs > 1 else computing.one_by_one(runs)
    order = {run.id: place for place, run in enumerate(plan.all_runs)}
    return sorted(ended, key=lambda outcome: order[outcome.run_id])


@dataclass(frozen=True)
class _Computing:
    """What every run of a plan is computed with."""

    plan: Plan
    worker: Worker
    stop_file: Path
    jobs: int

    def one_by_one(self, runs: Sequence[Run]) -> list[RunOutcome]:
        """Compute runs in this process."""
        waiting = WaitingRuns(runs)
        ended: list[RunOutcome] = []
        while not self._is_over(ended) and (taken := waiting.take()) is not None:
            run, waits = taken
            outcome = _execute(self, run, waits, self.worker, None)
            waiting.end(run, outcome)
            if not outcome.held:
                ended.append(outcome)
        return ended

    def side_by_side(self, runs: Sequence[Run]) -> list[RunOutcome]:
        """Compute runs in worker processes, as many at once as there are jobs."""
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        waiting = WaitingRuns(runs)
        devices = devices_of(self.worker, self.jobs)
        computed: dict[Future[RunOutcome], tuple[Run, str]] = {}
        ended: list[RunOutcome] = []
        try:
            while True:
                while devices and not self._is_over(ended) and (taken := waiting.take()):
                    device = devices.pop(0)
                    computed[self._submit(*taken, device)] = taken[0], device
                if not computed:
                    return ended
                for future in wait(computed, return_when=FIRST_COMPLETED).done:
                    run, device = computed.pop(future)
                    outcome = future.result()
                    devices.append(device)
                    waiting.end(run, outcome)
                    if not outcome.held:
                        ended.append(outcome)
        except TerminatedWorkerError as error:
            raise HarnessError(
                "a worker was killed, most likely for lack of memory; run the same command again "
                "with fewer --jobs, and it goes on from the last checkpoints"
            ) from error

    def _submit(self, run: Run, waits: bool, device: str) -> Future[RunOutcome]:
        from joblib.externals.loky import get_reusable_executor

        threads = str(self.worker.threads)
        variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        worker = replace(self.worker, device=device)
        with signals_held(forked=False):  # the workers begin here
            executor = get_reusable_executor(
                max_workers=self.jobs, timeout=_IDLE_S, env=dict.fromkeys(variables, threads)
            )
            future: Future[RunOutcome] = executor.submit(
                _execute, self, run, waits, worker, os.getpid()
            )
        return future

    def _is_over(self, ended: Sequence[RunOutcome]) -> bool:
        """Return whether nothing more is to begin: it was stopped, or a file was refused."""
        if any(outcome.interrupted for outcome in ended):
            return True
        is_checkpoint = self.plan.request.checkpoint is not None
        return is_checkpoint and any(outcome.error for outcome in ended)


def devices_of(worker: Worker, jobs: int) -> list[str]:
    """Return the device of each job: with several GPUs one after the other, and round again."""
    if worker.device != "cuda":
        return [worker.device] * jobs
    import torch

    gpus = torch.cuda.device_count()
    return [f"cuda:{job % gpus}" for job in range(jobs)]


def _execute(
    computing: _Computing, run: Run, waits: bool, worker: Worker, parent: int | None
) -> RunOutcome:
    if parent is not None:
        follow_parent(parent)
    if worker.device.startswith("cuda:"):
        import torch

        torch.cuda.set_device(worker.device)
    control = Control(stop=computing.stop_file.exists, live=parent is None, wait=waits)
    return execute(run, computing.plan, worker, control)
