"""The launcher for Slurm: arrays of batch jobs, each job ``exec`` of one run.

Slurm decides where and when a run is computed. Runs that need others are arrays of their own that
depend on exactly those. A job that is preempted, or whose node fails, is queued again by Slurm; one
that meets its time limit saves and queues itself again. Both go on from the checkpoint. All nodes
see the working folder, the output folder and this Python under the same paths.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError, Interrupted, UsageError
from harness.execution.execute import RunOutcome
from harness.execution.process import Worker
from harness.execution.status import missing_runs, run_status
from harness.launch.remote_runs import Following, exec_words, printed_reason, stored_plan
from harness.launch.slurm_script import BEGINS, array_script
from harness.planning.plan import Plan
from harness.planning.request import Resources
from harness.planning.run import Run

_ARRAY = 1000
"""Jobs of one array; Slurm allows 1001 unless it is told otherwise."""

_POLLS_S = (1, 2, 5, 10, 15)
"""Seconds between questions to Slurm while it is waited for; the last one stays."""


@dataclass(frozen=True)
class _Queue:
    """What is submitted of one plan.

    Attributes:
        name: of all jobs of this plan.
        folder: of logs.
        plan_file: what ``exec`` reads.
        resources: what each job may use.
    """

    name: str
    folder: Path
    plan_file: Path
    resources: Resources

    def log(self, run: Run) -> Path:
        """Return the log of a run."""
        return self.folder / f"{run.id}.log"


def check(resources: Resources) -> None:
    """Refuse a machine without sbatch, and a Slurm that does not answer.

    Raises:
        UsageError: says which, and the way out.
    """
    if shutil.which("sbatch") is None:
        raise UsageError(
            "--launcher slurm needs sbatch, which is not on this machine; run it on a login node"
        )
    try:
        shlex.split(resources.slurm_options)
    except ValueError as error:
        raise UsageError(
            f"--slurm-options {resources.slurm_options} cannot be read ({error}); write it as in a "
            "shell, '--partition=gpu --time=12:00:00'"
        ) from error
    answer = _asked("squeue", "--me", "--noheader", "--format=%F")
    if answer.returncode:
        raise UsageError(f"Slurm does not answer ({_last_line(answer.stderr)}); ask its operators")


def launch(plan: Plan, worker: Worker) -> list[RunOutcome]:
    """Queue whatever of ``plan`` is missing, and wait for it if that was asked for.

    A plan that is in the queue already is not queued again.

    Raises:
        UsageError: sbatch is absent or refuses the options.
        Interrupted: Ctrl-C while waiting; the jobs stay in the queue.
    """
    resources = worker.resources
    check(resources)
    runs = missing_runs(plan)
    plan_file = stored_plan(plan)
    folder = plan.out.resolve() / "slurm"
    folder.mkdir(exist_ok=True)
    queue = _Queue(f"harness-{plan_file.stem}", folder, plan_file, resources)
    following = Following(plan, runs)
    is_queued = _queued(queue)
    if is_queued is None:
        raise HarnessError("Slurm does not answer now; run the same command again")
    if is_queued:
        following.log(f"this plan is in the queue already, as {queue.name}")
    else:
        jobs = _submit(queue, runs)
        following.log(f"{len(runs)} runs are queued as {queue.name}: {' '.join(jobs)}")
    if resources.wait:
        return _wait(queue, plan, following)
    following.log(
        f"follow: squeue --me --name {queue.name}; logs: {folder}/RUN_ID.log; "
        f"cancel: scancel --me --name {queue.name}. The same command shows the table when all are "
        "done, and queues again what failed"
    )
    return [RunOutcome(run.label, run.id, queued=True) for run in runs]


def _submit(queue: _Queue, runs: Sequence[Run]) -> list[str]:
    """Submit runs as arrays, those that need others after them; return the ids of the arrays."""
    missing = {run.weights_id for run in runs}
    groups: dict[tuple[str, ...], list[Run]] = {(): []}
    for run in runs:
        needed = tuple(one.weights_id for one in run.requires if one.weights_id in missing)
        groups.setdefault(needed, []).append(run)
    jobs: dict[str, str] = {}
    arrays: list[str] = []
    for needed, members in groups.items():
        after = [jobs[weights_id] for weights_id in needed]
        for first in range(0, len(members), _ARRAY):
            array = members[first : first + _ARRAY]
            number = _submit_array(queue, array, after)
            arrays.append(number)
            for index, run in enumerate(array):
                jobs[run.weights_id] = f"{number}_{index}"
    return arrays


def _submit_array(queue: _Queue, runs: Sequence[Run], after: Sequence[str]) -> str:
    """Submit one array, and return its id."""
    commands = []
    for run in runs:
        words = [sys.executable, *exec_words(run, queue.plan_file, queue.resources)]
        commands.append((run.id, shlex.join(words)))
    script = array_script(queue.name, queue.folder, commands, queue.resources)
    words = ["sbatch", "--parsable"]
    if after:
        words += [f"--dependency=afterok:{':'.join(after)}", "--kill-on-invalid-dep=yes"]
    options = queue.resources.slurm_options
    answer = _asked(*words, *shlex.split(options), script=script)
    if answer.returncode:
        _asked("scancel", "--me", "--name", queue.name)
        raise UsageError(
            f"sbatch refused the runs ({_last_line(answer.stderr)}); change --slurm-options "
            f"'{options}'"
        )
    return answer.stdout.strip().split(";")[0]


def _wait(queue: _Queue, plan: Plan, following: Following) -> list[RunOutcome]:
    """Wait until no job of the plan is left, and return how its runs ended."""
    ended: dict[str, RunOutcome] = {}
    polls = 0
    try:
        while True:
            is_queued = _queued(queue)
            for run in following.runs:
                if run.id not in ended and run_status(run, plan) == "done":
                    ended[run.id] = RunOutcome(run.label, run.id)
                    following.end(ended[run.id])
            if is_queued is False:
                break
            time.sleep(_POLLS_S[min(polls, len(_POLLS_S) - 1)])
            polls += 1
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped waiting; the jobs go on. Cancel them with: scancel --me --name {queue.name}"
        ) from None
    for run in following.runs:
        if run.id not in ended:
            ended[run.id] = RunOutcome(run.label, run.id, error=_reason(queue, run, ended))
            following.end(ended[run.id])
    return [ended[run.id] for run in following.runs]


def _queued(queue: _Queue) -> bool | None:
    """Return whether jobs of this plan are in the queue; None where Slurm does not answer now."""
    answer = _asked("squeue", "--me", "--noheader", "--format=%F", "--name", queue.name)
    return None if answer.returncode else bool(answer.stdout.strip())


def _reason(queue: _Queue, run: Run, ended: dict[str, RunOutcome]) -> str:
    """Return why a run is not done although no job of it is left."""
    for needed in run.requires:
        if needed.id in ended and ended[needed.id].error:
            return f"it needs {needed.label}, which failed"
    log = queue.log(run)
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"Slurm ended its job before it began; see sacct --name {queue.name}"
    last = text.rpartition(BEGINS)[2]
    return printed_reason(run.label, last) or f"Slurm ended its job; see {log}"


def _asked(*words: str, script: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm, which may read a script from its standard input."""
    try:
        return subprocess.run(words, input=script, capture_output=True, text=True, check=False)
    except OSError as error:
        raise HarnessError(
            f"{words[0]} cannot be run ({error}); run this on a login node"
        ) from error


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it says no reason"
