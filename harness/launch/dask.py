"""The launcher for a Dask cluster that runs already: each task is ``exec`` of one run.

Dask decides where a run is computed, begins it after those that it needs, and starts it again
elsewhere when its worker is lost; ``exec`` then goes on from the checkpoint. All machines see the
working folder and the output folder under the same paths.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.errors import HarnessError, UsageError, reason_of
from harness.execution.execute import RunOutcome
from harness.execution.process import Worker
from harness.execution.status import missing_runs
from harness.launch.remote_runs import Following, exec_words, printed_reason, stored_plan
from harness.launch.signals import stop_on_signals
from harness.planning.plan import Plan
from harness.planning.request import Resources
from harness.planning.run import Run

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_S = 10
_POLL_S = 0.5
_ATTEMPTS = 3
"""How often a run is begun whose process is killed; Dask begins one as often whose worker is."""


class RunKilledError(HarnessError):
    """The process of a run was ended from outside, most likely for lack of memory."""


@dataclass(frozen=True)
class Task:
    """One run as a worker of the cluster computes it.

    Attributes:
        run_id: what is computed. The run itself stays here: a method of a plug-in file cannot be
            read before the file is imported.
        label: what messages call the run.
        words: what stands after ``python``.
        folder: where the command is started.
        stop_file: ends the run when it appears.
        topic: of the events that carry its lines of progress.
    """

    run_id: str
    label: str
    words: tuple[str, ...]
    folder: str
    stop_file: Path
    topic: str


def check(resources: Resources) -> None:
    """Refuse a scheduler that does not answer, and workers without this project.

    Raises:
        UsageError: the package is not installed, no scheduler is named or it does not answer, or a
            worker cannot import this project.
    """
    with _connected(resources) as client:
        found = client.run(importlib.util.find_spec, "harness")
        for address, spec in found.items():
            if spec is None:
                raise UsageError(
                    f"the Dask worker {address} cannot import harness; start it in an environment "
                    "with this project"
                )


def launch(plan: Plan, worker: Worker) -> list[RunOutcome]:
    """Compute whatever of ``plan`` is missing on a Dask cluster.

    Raises:
        UsageError: no scheduler answers.
    """
    resources = worker.resources
    topic = f"harness-{uuid.uuid4().hex[:8]}"
    stop_file = plan.out.resolve() / f".stop-{topic}"
    runs = missing_runs(plan)
    following = Following(plan, runs)
    with _connected(resources) as client, stop_on_signals(stop_file):
        _log_workers(client, following)
        client.subscribe_topic(topic, lambda event: following.log(event[1]))
        plan_file = stored_plan(plan)
        tasks = []
        for run in runs:
            words = tuple(exec_words(run, plan_file, resources))
            tasks.append(Task(run.id, run.label, words, str(Path.cwd()), stop_file, topic))
        submitted = _submitted(client, runs, tasks)
        return _Waiting(client, submitted, following, stop_file).outcomes()


@contextmanager
def _connected(resources: Resources) -> Iterator[Client]:
    """Connect to the scheduler that was named."""
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            "--launcher dask needs the package distributed; pip install 'restoration-harness[dask]'"
        ) from error
    address = resources.dask_scheduler or os.environ.get("DASK_SCHEDULER_ADDRESS", "")
    if not address:
        raise UsageError(
            "--launcher dask needs a scheduler; name it with --dask-scheduler tcp://HOST:8786 or "
            "DASK_SCHEDULER_ADDRESS"
        )
    try:
        found = _address(address)
        with ThreadPoolExecutor(1) as other:  # a notebook has a loop of events in this thread
            other.submit(asyncio.run, _reach(found)).result()
        client = Client(found, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the Dask scheduler {address} does not answer ({reason_of(error)}); start one with "
            "dask scheduler, and workers with dask worker"
        ) from error
    with client:
        yield client


def _address(named: str) -> str:
    """Return the address of a scheduler, from its file if that was named."""
    if not named.endswith(".json"):
        return named
    # The client would wait for the file for ever.
    found = json.loads(Path(named).read_text(encoding="utf-8"))
    return str(found["address"])


async def _reach(address: str) -> None:
    """Connect once: a client that never connected prints errors when it ends."""
    from distributed import Security
    from distributed.comm.core import connect

    arguments = Security().get_connection_args("client")
    comm = await connect(address, timeout=_CONNECT_S, **arguments)
    await comm.close()


def _log_workers(client: Client, following: Following) -> None:
    workers: dict[str, int] = client.nthreads()
    threads = sum(workers.values())
    if not workers:
        following.log("the Dask cluster has no workers yet; runs begin when one joins")
        return
    following.log(
        f"{len(following.runs)} runs, at most {threads} at once on {len(workers)} Dask workers"
    )
    if threads > len(workers):
        following.log(
            "warning: a Dask worker computes as many runs at once as it has threads, on one device;"
            " start workers with --nthreads 1 for one run each"
        )


def _submitted(client: Client, runs: Sequence[Run], tasks: Sequence[Task]) -> dict[Any, Run]:
    """Hand all tasks to the cluster, the first ones with the highest priority."""
    by_weights: dict[str, Any] = {}
    submitted: dict[Any, Run] = {}
    for place, (run, task) in enumerate(zip(runs, tasks, strict=True)):
        needed = []
        for required in run.requires:
            if required.weights_id in by_weights:
                needed.append(by_weights[required.weights_id])
        future = client.submit(
            compute_run,
            task,
            *needed,
            key=f"{task.topic}-{run.id}",
            priority=len(tasks) - place,
            retries=_ATTEMPTS - 1,
            pure=False,
        )
        by_weights[run.weights_id] = future
        submitted[future] = run
    return submitted


@dataclass
class _Waiting:
    """Waits for runs of the cluster, until they have ended or are asked to stop.

    Attributes:
        client: of the cluster.
        runs: the runs by their futures.
        following: prints how each run ended.
        stop_file: asks all runs to stop when it appears.
        idle: futures that no worker computed when that was looked at last, after a stop.
    """

    client: Client
    runs: Mapping[Any, Run]
    following: Following
    stop_file: Path
    idle: set[Any] | None = None

    def outcomes(self) -> list[RunOutcome]:
        """Return how all runs ended, in the order of submission."""
        ended: dict[str, RunOutcome] = {}
        left = list(self.runs)
        while left:
            cancelled = self._cancelled(left) if self.stop_file.exists() else ()
            for future in [one for one in left if one in cancelled or one.done()]:
                left.remove(future)
                outcome = self._outcome(future, future in cancelled)
                self.following.end(outcome)
                ended[outcome.run_id] = outcome
            if left:
                time.sleep(_POLL_S)
        return [ended[run.id] for run in self.runs.values()]

    def _outcome(self, future: Any, is_cancelled: bool) -> RunOutcome:
        run = self.runs[future]
        if is_cancelled:
            return RunOutcome(run.label, run.id, interrupted=True)
        if future.status == "finished":
            outcome: RunOutcome = future.result()
            return outcome
        return RunOutcome(run.label, run.id, error=_lost(future))

    def _cancelled(self, left: Sequence[Any]) -> set[Any]:
        """Cancel what no worker has begun; what is computed saves after its step.

        Without a free worker it would otherwise wait for one, only to be told that it is to stop.
        A run counts as not begun when no worker computes it at two looks: one that has just ended
        is done at the second.
        """
        try:
            found = self.client.run(executing, on_error="ignore")
        except (OSError, RuntimeError, ValueError):  # the scheduler went away, as futures will say
            return set()
        begun = {key for keys in found.values() for key in keys}
        idle = {future for future in left if not future.done() and future.key not in begun}
        if self.idle is None:
            self.following.log(
                f"stopping: {len(left) - len(idle)} runs save after their step and stop, and "
                f"{len(idle)} that have not begun are cancelled"
            )
        before, self.idle = self.idle or set(), idle
        cancelled = idle & before
        if cancelled:
            self.client.cancel(list(cancelled))
        return cancelled


def executing(dask_worker: Any) -> list[str]:
    """Return the keys of what a worker of the cluster computes now; the worker calls this."""
    return [str(state.key) for state in dask_worker.state.executing]


def _lost(future: Any) -> str:
    """Return the sentence on a run of which Dask has no outcome."""
    from distributed import KilledWorker

    if future.status != "error":
        return "the Dask scheduler went away; run the same command again, and it goes on"
    error = future.exception()
    if isinstance(error, KilledWorker):
        return (
            "its Dask worker was lost again and again, most likely for lack of memory; see the "
            "worker's log, and run the same command again to go on"
        )
    return str(error) if isinstance(error, HarnessError) else reason_of(error)


def compute_run(task: Task, *needed: RunOutcome) -> RunOutcome:
    """Compute one run in a process of its own; what a worker of the cluster executes.

    Args:
        task: the run.
        needed: how the runs ended that it needs.

    Raises:
        RunKilledError: the process was ended from outside; Dask begins it again.
    """
    for outcome in needed:
        if outcome.error:
            return RunOutcome(
                task.label, task.run_id, error=f"it needs {outcome.label}, which failed"
            )
    if task.stop_file.exists():
        return RunOutcome(task.label, task.run_id, interrupted=True)
    code, text = _execute(task)
    if code == 0:
        return RunOutcome(task.label, task.run_id)
    if code == 130 or task.stop_file.exists():
        return RunOutcome(task.label, task.run_id, interrupted=True)
    if code < 0:
        raise RunKilledError(
            f"its process was ended by signal {-code} {_ATTEMPTS} times, most likely for lack of "
            "memory; run the same command again, and it goes on from its checkpoint"
        )
    reason = printed_reason(task.label, text) or f"exec ended with {code}: {text.strip()[-300:]}"
    return RunOutcome(task.label, task.run_id, error=reason)


def _execute(task: Task) -> tuple[int, str]:
    """Run the command, send its lines of progress to the client, and return code and text."""
    from distributed import get_worker

    worker = get_worker()
    process = subprocess.Popen(
        [sys.executable, *task.words],
        cwd=task.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    threading.Thread(target=_end_when_asked, args=(process, task.stop_file), daemon=True).start()
    lines: deque[str] = deque(maxlen=50)
    for line in process.stderr or ():
        lines.append(line)
        if line.startswith("["):
            worker.log_event(task.topic, line.rstrip())
    return process.wait(), "".join(lines)


def _end_when_asked(process: subprocess.Popen[str], stop_file: Path) -> None:
    while process.poll() is None:
        if stop_file.exists():
            process.terminate()  # it saves after its step
            return
        time.sleep(1)
