"""Launchers: what begins when, and the same results from this machine, from Dask and from Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.api import compute
from harness.config.errors import UsageError
from harness.execution.execute import RunOutcome
from harness.execution.process import Worker
from harness.execution.status import estimated_s, is_complete, missing_runs, run_status
from harness.launch import check_launcher, dask, slurm
from harness.launch.local import devices_of
from harness.launch.remote_runs import Following, printed_reason
from harness.launch.slurm_script import array_script
from harness.launch.waiting import WaitingRuns
from harness.planning.budget import Budget
from harness.planning.plan import Plan
from harness.planning.request import Resources, RunRequest
from harness.planning.tuning import make_tuning
from harness.registry.catalogue import known_methods
from harness.registry.plugins import PLUGINS_VARIABLE, load_plugins
from harness.reporting.tuning_table import tuning_tables
from tests.conftest import Run
from tests.plans import plan_of
from tests.test_plugins import method_file

ROOT = Path(__file__).parents[1]
RECIPE = """
base: smoke
train: {steps: 40, warmup_steps: 1, decay_steps: 40, validate_every_steps: 40, patch_px: 32}
auxiliary: {steps: 2}
test: {images: 1, draws: 1, centre_px: 64}
runtime: {checkpoint_every_steps: 2}
"""
FAILS = "raise ValueError('no loss')"
ON_THIS = {"device": "cpu", "threads": 1}


def small_plan(folder: Path, out: str) -> Plan:
    """Return a plan with a run that needs another, a long one, and one that fails."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    plugin = method_file(folder, losses=FAILS)
    methods = ["explicit", "promptir", "own"]
    return plan_of(methods, folder / out, recipe=str(recipe), plugins=(plugin,))


def wait_until(holds: Callable[[], Any], seconds: float = 120) -> None:
    for _ in range(int(seconds * 10)):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail("nothing happened for too long")


def assert_ended_alike(outcomes: list[RunOutcome], plan: Plan, like: Plan) -> None:
    """Check that one run failed, with its reason, and that all others are those of ``like``."""
    failed = {outcome.label: outcome.error for outcome in outcomes if outcome.error}
    assert list(failed) == ["own seed 0"]
    assert "ValueError: no loss" in failed["own seed 0"]
    assert len(outcomes) == len({outcome.run_id for outcome in outcomes})
    for run, same in zip(plan.all_runs, like.all_runs, strict=True):
        for ours, theirs in (
            (run.folder.weights, same.folder.weights),
            (run.folder.results, same.folder.results),
        ):
            assert ours.exists() == theirs.exists()
            if ours.exists():
                assert ours.read_bytes() == theirs.read_bytes(), ours
    assert run_status(plan.runs[-2], plan) == "done"


def resumed(text: str) -> bool:
    return "resumes at step" in text


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the plug-ins of other tests."""
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    load_plugins.cache_clear()
    known_methods.cache_clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("launchers")


@pytest.fixture(scope="module")
def local(folder: Path) -> Plan:
    plan = small_plan(folder, "local")
    outcomes = compute(plan, Resources(jobs=2, **ON_THIS))
    assert_ended_alike(outcomes, plan, plan)
    assert len(outcomes) == 5
    return plan


# --- what begins when --------------------------------------------------------------------


def test_long_runs_come_first_and_needed_ones_before_those_that_need_them(tmp_path: Path) -> None:
    plan = plan_of(["explicit", "promptir", "restormer"], tmp_path, seeds=(0, 1))
    runs = missing_runs(plan)
    assert {run.id for run in runs} == {run.id for run in plan.all_runs}
    for run in runs:
        for needed in run.requires:
            assert runs.index(needed) < runs.index(run)
    independent = [run for run in runs if run.score is not None]
    times = [estimated_s(run, plan) for run in independent]
    assert times == sorted(times, reverse=True)
    assert runs[-1].method.id == "degraded-input"


def test_a_run_waits_for_what_it_needs_and_a_held_one_comes_last(tmp_path: Path) -> None:
    plan = plan_of(["explicit", "promptir"], tmp_path)
    (classifier,), (degraded, explicit, promptir) = plan.auxiliary, plan.runs
    waiting = WaitingRuns([classifier, explicit, promptir, degraded])
    assert waiting.take() == (classifier, False)
    assert waiting.take() == (promptir, False)
    waiting.end(promptir, RunOutcome("", held=True))
    assert waiting.take() == (degraded, False)
    waiting.end(classifier, RunOutcome("", error="failed"))
    assert waiting.take() == (explicit, False)
    assert waiting.take() == (promptir, True)
    assert waiting.take() is None


def test_jobs_share_the_gpus_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert devices_of(Worker("cuda", 1), 4) == ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]
    assert devices_of(Worker("cuda:1", 1), 2) == ["cuda:1", "cuda:1"]
    assert devices_of(Worker("cpu", 1), 2) == ["cpu", "cpu"]


# --- what is refused before anything is computed -----------------------------------------


def refused(launcher: str, **fields: Any) -> str:
    with pytest.raises(UsageError) as error:
        check_launcher(Resources(launcher=launcher, **fields))
    return str(error.value)


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    monkeypatch.setattr(dask, "_CONNECT_S", 0.5)
    assert "--dask-scheduler tcp://HOST:8786" in refused("dask")
    for address in ("tcp://127.0.0.1:1", "nonsense://x", "absent.json"):
        assert f"{address} does not answer" in refused("dask", dask_scheduler=address)
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install 'restoration-harness[dask]'" in refused("dask", dask_scheduler="x")


def test_a_slurm_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness_command: Run
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "needs sbatch" in refused("slurm")
    for name in ("sbatch", "squeue"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho 'squeue: error: no controller' >&2\nexit 1\n")
        program.chmod(0o755)
    assert "no controller" in refused("slurm")
    assert "cannot be read" in refused("slurm", slurm_options="--comment='open")
    words = ("run", "--recipe", "smoke", "--launcher", "slurm", "--out", str(tmp_path / "out"))
    printed = harness_command(*words)
    assert printed.returncode == 2
    assert "Slurm does not answer" in printed.stderr
    assert not (tmp_path / "out").exists()


def test_a_device_is_checked_where_it_is_used(tmp_path: Path) -> None:
    words: dict[str, Any] = {"launcher": "slurm", "device": "cuda", "threads": 2, "jobs": 4}
    script = array_script("n", tmp_path, [("a", "x"), ("b", "y z")], Resources(**words))
    assert "#SBATCH --gpus=1\n" in script
    assert "#SBATCH --cpus-per-task=2\n" in script
    assert "#SBATCH --array=0-1%4\n" in script
    assert "  'y z'\n" in script
    asked = Resources(**words, slurm_options="--gres=gpu:a100:1 --cpus-per-task=8")
    script = array_script("n", tmp_path, [("a", "x")], asked)
    assert "--gpus" not in script
    assert "--cpus" not in script


def test_the_reason_is_taken_from_what_exec_prints() -> None:
    label = "promptir seed 0"
    text = "harness: old\nharness: 1 of 1 runs failed: promptir seed 0: a: b\n"
    assert printed_reason(label, text) == "a: b"
    assert printed_reason(label, "harness: no such plan\n") == "no such plan"
    assert not printed_reason(label, "Killed")


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (0, "", RunOutcome("a", "a-s0")),
        (130, "", RunOutcome("a", "a-s0", interrupted=True)),
        (1, "harness: 1 of 1 runs failed: a: why\n", RunOutcome("a", "a-s0", error="why")),
        (2, "Traceback", RunOutcome("a", "a-s0", error="exec ended with 2: Traceback")),
    ],
)
def test_a_task_ends_as_its_process_does(
    code: int, text: str, expected: RunOutcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = dask.Task("a-s0", "a", (), "", tmp_path / "stop", "")
    monkeypatch.setattr(dask, "_execute", lambda task: (code, text))
    assert dask.compute_run(task, RunOutcome("needed")) == expected
    failed = dask.compute_run(task, RunOutcome("needed", error="x"))
    assert failed.error == "it needs needed, which failed"
    task.stop_file.touch()
    assert dask.compute_run(task).interrupted


def test_a_killed_process_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "_execute", lambda task: (-9, ""))
    with pytest.raises(dask.RunKilledError, match="signal 9"):
        dask.compute_run(dask.Task("a-s0", "a", (), "", tmp_path / "stop", ""))


# --- Dask --------------------------------------------------------------------------------


@dataclass
class Cluster:
    """A scheduler and workers of Dask on loopback, each in a process group of its own."""

    folder: Path
    groups: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return str(self.folder / "scheduler.json")

    def start(self, name: str, *words: str) -> None:
        module = f"distributed.cli.dask_{words[0]}"
        given = ("--scheduler-file", self.address, "--no-dashboard", *words[1:])
        with (self.folder / f"{name}.log").open("wb") as log:
            self.groups[name] = subprocess.Popen(
                [sys.executable, "-m", module, *given],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def kill(self, name: str) -> None:
        """Kill a process and its children, as the end of its machine does."""
        process = self.groups.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    started = Cluster(tmp_path)
    started.start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0")
    wait_until(Path(started.address).exists)
    for name in ("a", "b", "c"):
        words = ("--nthreads", "1", "--no-nanny", "--name", name, "--host", "127.0.0.1")
        started.start(name, "worker", *words, "--local-directory", str(tmp_path))
    yield started
    for name in list(started.groups):
        started.kill(name)


def test_dask_computes_all_runs_once_though_a_worker_is_lost(
    cluster: Cluster, folder: Path, local: Plan, capfd: pytest.CaptureFixture[str]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from distributed import Client

    check_launcher(Resources(launcher="dask", dask_scheduler=cluster.address))
    plan = small_plan(folder, "dask")
    promptir = plan.runs[2]

    def kill_its_worker() -> str:
        with Client(scheduler_file=cluster.address, set_as_default=False) as client:
            wait_until(promptir.folder.checkpoint.exists, 60)
            workers = client.scheduler_info(n_workers=-1)["workers"]
            for address, keys in client.processing().items():
                if any(promptir.id in str(key) for key in keys):
                    cluster.kill(workers[address]["name"])
                    return "killed"
        return "nobody computed it"

    resources = Resources(launcher="dask", dask_scheduler=cluster.address, **ON_THIS)
    with ThreadPoolExecutor(1) as other:
        killed = other.submit(kill_its_worker)
        outcomes = compute(plan, resources)
        assert killed.result() == "killed"
    assert_ended_alike(outcomes, plan, local)
    assert len(outcomes) == 5
    printed = capfd.readouterr().err
    assert "[promptir seed 0] resumes at step" in printed
    assert "5 of 5 runs: " in printed
    assert not list(plan.out.glob(".stop-*"))


def test_dask_computes_the_trials_of_a_search(cluster: Cluster, folder: Path) -> None:
    recipe = folder / "search.yaml"
    recipe.write_text(RECIPE)
    asked = {"methods": "restormer", "recipe": str(recipe), "out": folder / "search"}
    budget = Budget(trials=2, steps=8, fixed=("patch_px", "warmup_steps"))
    tuning = make_tuning(RunRequest.model_validate(asked), budget)
    resources = Resources(launcher="dask", dask_scheduler=cluster.address, **ON_THIS)
    outcomes = compute(tuning.plan, resources)
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert is_complete(tuning.plan)
    (table,) = tuning_tables(tuning, {})
    assert table.best is not None


@pytest.mark.parametrize("workers", [0, 1])
def test_dask_is_stopped_while_no_worker_is_free(
    folder: Path, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    distributed = pytest.importorskip("distributed")
    plan = small_plan(folder, f"stopped-{workers}")
    begun = plan.out / ".begun"

    def occupy() -> None:
        plan.out.mkdir(parents=True, exist_ok=True)
        begun.touch()
        wait_until(lambda: not begun.exists(), 60)

    def stop() -> None:
        wait_until(lambda: list(plan.out.glob("plans/*.json")), 60)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    with distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        dashboard_address=None,
        host="127.0.0.1",
    ) as cluster:
        address = cluster.scheduler_address
        with distributed.Client(address, set_as_default=False) as other:
            occupied = other.submit(occupy, priority=10**6) if workers else None
            wait_until(lambda: begun.exists() or not workers, 60)
            thread = threading.Thread(target=stop)
            thread.start()
            began = time.monotonic()
            outcomes = compute(plan, Resources(launcher="dask", dask_scheduler=address, **ON_THIS))
            thread.join()
            took_s = time.monotonic() - began
            begun.unlink(missing_ok=True)
            if occupied is not None:
                occupied.result()
    assert len(outcomes) == 5
    assert all(outcome.interrupted for outcome in outcomes)
    assert took_s < 30
    printed = capfd.readouterr().err
    assert "stopping: 0 runs save after their step and stop, and 5 that have not begun" in printed
    assert not list(plan.out.glob("*/checkpoint.pt"))


@dataclass
class Promise:
    """A future of Dask, without Dask."""

    key: str
    status: str = "pending"

    def done(self) -> bool:
        return self.status != "pending"

    def result(self) -> RunOutcome:
        return RunOutcome(self.key, self.key, interrupted=True)

    def __hash__(self) -> int:
        return hash(self.key)


def test_dask_waits_for_what_saves_and_cancels_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dask, "_POLL_S", 0.01)
    plan = plan_of(["restormer", "promptir", "adair"], tmp_path)
    runs = plan.runs[1:]
    begun, saved, queued = (Promise(run.id) for run in runs)
    looks: list[list[str]] = []

    class Fake:
        def __init__(self) -> None:
            self.cancelled: list[Promise] = []

        def run(self, function: Any, on_error: str) -> dict[str, list[str]]:
            looks.append([])
            if len(looks) == 3:
                raise OSError("the scheduler does not answer for a moment")
            if len(looks) == 2:  # it ends between two looks
                saved.status = "finished"
            if len(looks) == 5:
                begun.status = "finished"
            return {"a": [begun.key], "b": [saved.key] if len(looks) < 1 else []}

        def cancel(self, futures: list[Promise]) -> None:
            self.cancelled += futures

    stop_file = tmp_path / "stop"
    stop_file.touch()
    client: Any = Fake()
    submitted = dict(zip((begun, saved, queued), runs, strict=True))
    following = Following(plan, runs)
    waiting = dask._Waiting(client, submitted, following, stop_file)
    outcomes = waiting.outcomes()
    assert client.cancelled == [queued]
    assert [outcome.run_id for outcome in outcomes] == [run.id for run in runs]
    assert all(outcome.interrupted for outcome in outcomes)
    assert capfd.readouterr().err.count("stopping: ") == 1


# --- Slurm -------------------------------------------------------------------------------


@pytest.fixture
def one_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a Slurm of one node, where Slurm is installed and can be started."""
    script = ROOT / "benchmarks" / "slurm_one_node.sh"
    process = subprocess.Popen(
        [str(script), str(tmp_path / "slurm"), "cat"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stderr
    said = process.stderr.readline().strip()
    if "is ready" not in said:
        process.communicate()
        pytest.skip(said)
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm" / "slurm.conf"))
    yield
    subprocess.run(["scancel", "--me"], check=False)
    process.stdin.close()  # ends cat, and with it Slurm
    process.wait()


def test_slurm_computes_all_runs_though_jobs_are_queued_again(
    one_node: None, folder: Path, local: Plan, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = small_plan(folder, "slurm")
    bad = Resources(launcher="slurm", slurm_options="--partition=absent", **ON_THIS)
    with pytest.raises(UsageError, match="Invalid partition"):
        compute(plan, bad)
    asked = Resources(launcher="slurm", slurm_options="--comment='two words'", **ON_THIS)
    queued = compute(plan, asked)
    assert [outcome.queued for outcome in queued] == [True] * 5
    promptir = plan.runs[2]
    log = plan.out / "slurm" / f"{promptir.id}.log"

    def job() -> str:
        return log.read_text().rpartition(slurm.BEGINS)[2].split()[0]

    wait_until(promptir.folder.checkpoint.exists)
    # As Slurm does when the time limit is near; it may say that it tries again, and does so.
    subprocess.run(["scancel", "--batch", "--signal=USR1", job()], check=False)
    wait_until(lambda: "attempt 2" in log.read_text())
    wait_until(lambda: resumed(log.read_text()))
    # As Slurm does when a node fails.
    subprocess.run(["scontrol", "requeue", job()], check=True)
    outcomes = compute(plan, Resources(launcher="slurm", wait=True, **ON_THIS))
    assert "attempt 3" in log.read_text()
    assert_ended_alike(outcomes, plan, local)  # those that ended before are not in the outcomes
    assert "in the queue already" in capfd.readouterr().err
