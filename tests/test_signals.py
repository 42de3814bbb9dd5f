"""Ctrl-C, SIGTERM and SIGKILL with worker processes: nothing is lost and nobody is left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.config.errors import HarnessError, RunError
from harness.data.sources.samples import Samples
from harness.launch.signals import stop_on_signals
from harness.planning.plan_files import store_plan
from harness.training.batches import batches
from tests.plans import plan_of
from tests.test_training import assert_same, six_steps, trained

ROOT = Path(__file__).parents[1]
LONG = """
base: smoke
summary: too long to end
train: {steps: 100000, validate_every_steps: 100000}
"""
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals and process groups")


class Command:
    """A run of the command line in a process group of its own."""

    def __init__(self, folder: Path, *words: str, subcommand: str = "run") -> None:
        recipe = folder / "long.yaml"
        recipe.write_text(LONG)
        self.out = folder / "out"
        given = (subcommand, "--recipe", str(recipe), "--out", str(self.out), "--threads", "1")
        given += words
        if subcommand == "exec":
            given = (subcommand, *words, "--threads", "1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", *given],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, checkpoints: int) -> None:
        """Wait until so many runs have saved a checkpoint."""
        for _ in range(600):
            if len(list(self.out.glob("*/checkpoint.pt"))) >= checkpoints:
                return
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.1)
        pytest.fail("nothing was trained")

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self) -> str:
        """Return what was printed on standard error, once all processes are gone."""
        _, text = self.process.communicate(timeout=60)
        for _ in range(100):
            try:
                os.killpg(self.process.pid, 0)
            except ProcessLookupError:
                return text
            time.sleep(0.1)
        os.killpg(self.process.pid, signal.SIGKILL)
        return pytest.fail(f"processes were left: {text}")


TWO_WORKERS = ("--methods", "restormer", "--workers", "2")
JOBS_WITH_WORKERS = ("--methods", "restormer,nafnet", "--jobs", "2", "--workers", "1")


@pytest.mark.parametrize(
    ("words", "number", "runs"),
    [(TWO_WORKERS, signal.SIGINT, 1), (JOBS_WITH_WORKERS, signal.SIGTERM, 2)],
    ids=["Ctrl-C with workers", "SIGTERM with jobs and workers"],
)
def test_a_signal_to_the_group_saves_and_resumes(
    tmp_path: Path, words: Sequence[str], number: int, runs: int
) -> None:
    command = Command(tmp_path, *words)
    command.wait_for(runs)
    command.signal(number)
    said = command.end()
    assert command.process.returncode == 130, said
    assert "nothing is lost. Go on with: " in said
    assert not list(command.out.glob(".*stop*"))


def test_a_second_signal_and_a_killed_parent_leave_nobody(tmp_path: Path) -> None:
    command = Command(tmp_path, *JOBS_WITH_WORKERS)
    command.wait_for(1)
    command.signal(signal.SIGINT)
    time.sleep(0.05)
    command.signal(signal.SIGINT)
    command.end()
    assert not list(command.out.glob(".*stop*"))
    again = Command(tmp_path, *TWO_WORKERS)
    again.wait_for(1)
    time.sleep(1)
    again.process.kill()
    again.end()


def test_sigterm_that_comes_twice_at_once_is_one_request(tmp_path: Path) -> None:
    """Slurm signals all processes of a job, and the script of the job passes the signal on."""
    process = os.fork()
    if process == 0:
        with stop_on_signals(tmp_path / "stop") as stop_file:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(7 if stop_file.exists() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7


@pytest.mark.parametrize(
    ("subcommand", "words"),
    [
        ("tune", ("--methods", "restormer", "--trials", "2")),
        ("ablate", ("--study", "topk", "--jobs", "2")),
        ("exec", ()),
    ],
)
def test_every_command_that_computes_stops_and_says_how_to_go_on(
    tmp_path: Path, subcommand: str, words: Sequence[str]
) -> None:
    if subcommand == "exec":
        (tmp_path / "long.yaml").write_text(LONG)
        plan = plan_of(["restormer"], tmp_path / "out", recipe=str(tmp_path / "long.yaml"))
        store_plan(plan, tmp_path / "plan.json")
        words = (plan.runs[-1].id, "--plan", str(tmp_path / "plan.json"))
    command = Command(tmp_path, *words, subcommand=subcommand)
    command.wait_for(1)
    began = time.monotonic()
    command.signal(signal.SIGTERM)
    said = command.end()
    assert time.monotonic() - began < 30  # seconds alone; machines that run tests are busy
    assert command.process.returncode == 130, said
    assert f"Go on with: python -m harness {subcommand} " in said
    assert not list(command.out.rglob(".*"))


def test_a_killed_worker_of_several_is_one_sentence(tmp_path: Path) -> None:
    command = Command(tmp_path, "--methods", "restormer,nafnet", "--jobs", "2")
    command.wait_for(2)
    claim = next(command.out.glob("restormer-*/.claim")).read_text()
    worker = int(claim.split("pid=")[1].split()[0])
    assert worker != command.process.pid
    os.kill(worker, signal.SIGKILL)
    said = command.end()
    assert command.process.returncode == 1, said
    assert "harness: a worker was killed, most likely for lack of memory; run the same" in said


class Stream:
    """Batches of another stream, one of which ends its process or cannot be made."""

    def __init__(self, stream: object, at: int, kill: bool) -> None:
        self.stream, self.at, self.kill = stream, at, kill

    @property
    def train(self) -> object:
        return self.stream.train  # type: ignore[attr-defined]

    def batch(self, step: int) -> Samples:
        if step == self.at and self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == self.at:
            raise HarnessError("image a.png cannot be read")
        return self.stream.batch(step)  # type: ignore[attr-defined]


def test_a_worker_that_is_killed_is_one_sentence_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(six_steps(tmp_path / "whole", "restormer"))
    plan = six_steps(tmp_path / "cut", "restormer")
    source = type(plan.source)
    original = source.stream
    with monkeypatch.context() as changed:
        changed.setattr(source, "stream", lambda *a: Stream(original(*a), at=5, kill=True))
        with pytest.raises(RunError, match=r"restormer: a worker .* was killed .* it goes on from"):
            trained(plan, workers=1)
    assert_same(trained(plan), whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_worker_is_its_sentence_alone(workers: int) -> None:
    run = plan_of(["restormer"]).runs[-1]
    stream = Stream(plan_of(["restormer"]).source.stream(run.train, 1), at=1, kill=False)
    made = batches(stream, 0, workers)  # type: ignore[arg-type]
    next(made)
    with pytest.raises(HarnessError, match=r"^image a\.png cannot be read$"):
        next(made)


def test_workers_that_are_no_forks_make_the_same_batches() -> None:
    """As on macOS and Windows, where there is no fork."""
    plan = plan_of(["restormer"])
    stream = plan.source.stream(plan.runs[-1].train, 1)
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        made = batches(stream, 9, 1)
        found = [next(made), next(made)]
        made.close()
    finally:
        multiprocessing.set_start_method(before, force=True)
    for step, samples in enumerate(found, start=9):
        assert (samples.degraded == stream.batch(step).degraded).all()


def test_without_the_module_resource_there_is_no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.execution.provenance import peak_bytes

    assert peak_bytes() > 10**7
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_bytes() is None
