"""Several processes on one folder: each run is computed once, whoever dies."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.chaos.campaign import RECIPE, warm
from benchmarks.chaos.hook import Hook, Shared, run_command
from harness.cli import app
from harness.config.errors import HarnessError, Interrupted
from harness.execution import listing, locks
from harness.execution.listing import remove_runs, stored_runs
from harness.execution.locks import RunIsHeld, hold
from harness.execution.progress import PlainProgress
from harness.planning.run import Run
from harness.store.results import read
from tests.plans import plan_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")
METHODS = ("restormer", "promptir", "explicit")
WARM: list[bool] = []
PROGRESS = PlainProgress("run")


def forked(do: Callable[[], int]) -> int:
    """Run ``do`` in a fork that exits with what it returns, and return the process."""
    process = os.fork()
    if process == 0:
        code = 99
        try:
            code = do()
        finally:
            os._exit(code)
    return process


def exit_code(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def wait_until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    found = plan_of(["restormer"], tmp_path).runs[-1]
    found.folder.path.mkdir(parents=True)
    return found


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let claims end after a second."""
    monkeypatch.setattr(locks, "CLAIM_S", 1.0)
    monkeypatch.setattr(locks, "RENEWED_EVERY_S", 0.2)


# --- three processes ---------------------------------------------------------------------


@pytest.mark.parametrize("flock", ["honoured", "granted to everybody"])
def test_three_share_the_runs_and_one_is_killed(tmp_path: Path, flock: str) -> None:
    if not WARM:
        warm(tmp_path)
        WARM.append(True)

    def command(number: int) -> int:
        folder = tmp_path / f"process-{number}"
        folder.mkdir()
        (folder / "recipe.yaml").write_text(RECIPE)
        (folder / "out").symlink_to(shared)
        if flock != "honoured":
            fcntl.flock = fcntl.lockf = lambda *_: None  # type: ignore[assignment]
        words = ("run", "--methods", ",".join(METHODS))
        run_command(folder, words, Hook(Shared()))
        return 99

    shared = tmp_path / "shared"
    shared.mkdir()
    processes = []
    for number in range(3):
        processes.append(forked(lambda number=number: command(number)))  # type: ignore[misc]
    wait_until(lambda: list(shared.glob("*/checkpoint.pt")))
    os.kill(processes[0], signal.SIGKILL)
    assert [exit_code(process) for process in processes] == [-9, 0, 0]
    said = [(tmp_path / f"process-{n}" / "stderr").read_text() for n in range(3)]
    for label in (*METHODS, "task-classifier"):
        weights = list(shared.glob(f"{label}-s0-*/weights.safetensors"))
        assert len(weights) == 1, said
        assert sum(text.count(f"[{label} seed 0] trained") for text in said) == 1, said
    tables = [(tmp_path / f"process-{n}" / "stdout").read_text() for n in (1, 2)]
    assert tables[0] == tables[1]
    assert "Restormer" in tables[0]
    for path in shared.glob("*/results.jsonl"):
        rows = read([path])
        assert len(rows) == len({(row.score, row.column, row.image, row.metric) for row in rows})
        assert len(rows) == 10
    assert not list(shared.rglob(".*")), "neither claims nor temporary files are left"


# --- one claim ---------------------------------------------------------------------------


def test_a_run_is_held_until_it_is_released(run: Run) -> None:
    def second() -> int:
        try:
            with hold(run, PROGRESS, lambda: False, wait=False):
                return 0
        except RunIsHeld:
            return 7

    with hold(run, PROGRESS, lambda: False, wait=False) as claim:
        claim.check()
        assert exit_code(forked(second)) == 7
    assert exit_code(forked(second)) == 0
    assert not list(run.folder.path.iterdir())


def misread(monkeypatch: pytest.MonkeyPatch, run: Run, shown: str | None, times: int) -> list[Path]:
    """Have the claim read as ``shown``, or as absent, so many times; return who read it."""
    looks: list[Path] = []
    read_text = Path.read_text

    def read(path: Path, **how: str) -> str:
        if path != run.folder.claim:
            return read_text(path, **how)
        looks.append(path)
        if len(looks) > times:
            return read_text(path, **how)
        if shown is None:
            raise FileNotFoundError(path)
        return shown

    monkeypatch.setattr(Path, "read_text", read)
    return looks


@pytest.mark.parametrize("shown", ["", None, "host=another\n"])
def test_a_claim_is_read_again_before_it_counts_as_lost(
    run: Run, monkeypatch: pytest.MonkeyPatch, shown: str | None
) -> None:
    monkeypatch.setattr(locks, "_LOOK_AGAIN_S", 0.01)
    with hold(run, PROGRESS, lambda: False, wait=False) as claim:
        looks = misread(monkeypatch, run, shown, 3)
        assert not claim.lost()
        assert len(looks) == 4
        claim.check()
        assert len(looks) == 5
        monkeypatch.undo()
        monkeypatch.setattr(locks, "_LOOK_AGAIN_S", 0.01)
        looks = misread(monkeypatch, run, shown, 10**6)
        assert claim.lost()
        assert len(looks) == 5
        with pytest.raises(RunIsHeld, match="was taken over by another process"):
            claim.check()


def test_a_claim_that_cannot_be_read_counts_as_ones_own(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, **how: str) -> str:
        raise OSError(116, "Stale file handle")

    with hold(run, PROGRESS, lambda: False, wait=False) as claim:
        monkeypatch.setattr(Path, "read_text", fail)
        assert not claim.lost()
        claim.check()
        monkeypatch.undo()


def test_who_waits_may_be_stopped(run: Run) -> None:
    with (
        hold(run, PROGRESS, lambda: False, wait=False),
        pytest.raises(Interrupted),
        hold(run, PROGRESS, lambda: True, wait=True),
    ):
        pass


def holder(run: Run, host: str, ready: Path) -> int:
    """Hold a run until it is lost; return 7 if the rows of this process are then refused."""
    socket.gethostname = lambda: host
    try:
        with hold(run, PROGRESS, lambda: False, wait=False) as claim:
            ready.touch()
            wait_until(claim.lost)
            claim.check()
    except RunIsHeld:
        return 7
    return 0


def test_a_killed_owner_of_this_host_is_followed_at_once(run: Run, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    owner = forked(lambda: holder(run, socket.gethostname(), ready))
    wait_until(ready.exists)
    os.kill(owner, signal.SIGKILL)
    exit_code(owner)
    began = time.monotonic()
    with hold(run, PROGRESS, lambda: False, wait=True) as claim:
        claim.check()
    assert time.monotonic() - began < 30 < locks.CLAIM_S


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_another_hosts_claim_counts_while_it_is_renewed(
    run: Run, tmp_path: Path, ahead_s: float
) -> None:
    """Its clock may be an hour off: only whether the claim changes counts."""
    ready = tmp_path / "ready"
    owner = forked(lambda: holder(run, "another-host", ready))
    wait_until(ready.exists)
    end = time.monotonic() + 2.5

    def shift_clock() -> bool:
        wrong = time.time() + ahead_s
        os.utime(run.folder.claim, (wrong, wrong))
        return time.monotonic() > end

    with pytest.raises(Interrupted), hold(run, PROGRESS, shift_clock, wait=True):
        pass
    os.kill(owner, signal.SIGKILL)
    exit_code(owner)
    with hold(run, PROGRESS, lambda: False, wait=True) as claim:
        claim.check()


@pytest.mark.usefixtures("short")
def test_a_suspended_owner_writes_nothing_once_it_is_followed(run: Run, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    owner = forked(lambda: holder(run, "another-host", ready))
    wait_until(ready.exists)
    os.kill(owner, signal.SIGSTOP)
    with hold(run, PROGRESS, lambda: False, wait=True) as claim:
        os.kill(owner, signal.SIGCONT)
        assert exit_code(owner) == 7
        claim.check()


def test_a_claim_without_an_owner_is_removed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process was killed between the making of the file and the writing of its name."""
    monkeypatch.setattr(locks, "_EMPTY_S", 0.5)
    run.folder.claim.touch()
    with pytest.raises(RunIsHeld), hold(run, PROGRESS, lambda: False, wait=False):
        pass
    with hold(run, PROGRESS, lambda: False, wait=True):
        assert "pid=" in run.folder.claim.read_text()
    assert not list(run.folder.path.iterdir())


def test_what_a_killed_takeover_left_is_removed(run: Run) -> None:
    process = forked(lambda: 0)
    exit_code(process)
    left = run.folder.path / f".claim.break.{process}.{'0' * 32}"
    left.write_text(f"host={os.uname().nodename}\n")
    elsewhere = run.folder.path / f".claim.break.{process}.{'1' * 32}"
    elsewhere.write_text("host=another\n")
    with hold(run, PROGRESS, lambda: False, wait=False):
        assert not left.exists()
        assert elsewhere.exists()


def test_a_claim_that_cannot_be_written_is_one_sentence(run: Run) -> None:
    run.folder.path.rmdir()
    run.folder.path.write_text("a file where the folder should be")
    with (
        pytest.raises(HarnessError, match=r"\.claim cannot be written: (File exists|Not a dir)"),
        hold(run, PROGRESS, lambda: False, wait=False),
    ):
        pass


def test_a_claim_left_behind_the_last_write_is_removed(run: Run, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    owner = forked(lambda: holder(run, socket.gethostname(), ready))
    wait_until(ready.exists)
    locks.remove_dead_claims([run])
    assert run.folder.claim.exists(), "its owner is alive"
    os.kill(owner, signal.SIGKILL)
    exit_code(owner)
    locks.remove_dead_claims([run])
    assert not run.folder.claim.exists()


# --- what is removed ---------------------------------------------------------------------


@pytest.fixture
def stored(run: Run) -> Run:
    run.folder.write_spec(run.train)
    (run.folder.path / "images").mkdir()
    (run.folder.path / "images" / "one.png").touch()
    return run


PRUNE = ("runs", "prune", "--unfinished", "--yes", "--out")


def test_prune_removes_no_run_that_another_process_computes(stored: Run, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    owner = forked(lambda: holder(stored, socket.gethostname(), ready))
    wait_until(ready.exists)
    out = stored.folder.path.parent
    done = CliRunner().invoke(app, [*PRUNE, str(out)])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert f"{stored.id} stays: another process computes it" in said
    assert f"remove {stored.folder.claim} and prune again" in said
    assert "0 runs in" in said
    assert (stored.folder.path / "images" / "one.png").exists()
    os.kill(owner, signal.SIGKILL)
    exit_code(owner)
    done = CliRunner().invoke(app, [*PRUNE, str(out)])
    assert "stays" not in done.output
    assert "1 runs in" in done.output
    assert not stored.folder.path.exists()


def test_a_run_that_was_computed_since_it_was_listed_stays(stored: Run) -> None:
    out = stored.folder.path.parent
    listed = stored_runs(out)
    stored.folder.weights.touch()
    assert remove_runs(out, listed) == []
    assert stored.folder.weights.exists()
    assert not stored.folder.claim.exists()
    again = stored_runs(out)
    assert remove_runs(out, again) == again
    assert not stored.folder.path.exists()


def test_a_run_is_claimed_while_its_folder_is_emptied(
    stored: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(folder: Path) -> None:
        assert "pid=" in stored.folder.claim.read_text()
        assert stored.folder.spec.exists(), "a removal that is cut off is listed again"
        looks.append(folder)

    looks: list[Path] = []
    monkeypatch.setattr(listing.shutil, "rmtree", look)
    remove_runs(stored.folder.path.parent, stored_runs(stored.folder.path.parent))
    assert looks == [stored.folder.path / "images"]


def test_a_link_to_a_run_is_not_removed(stored: Run, tmp_path: Path) -> None:
    out = tmp_path / "linked"
    out.mkdir()
    (out / stored.id).symlink_to(stored.folder.path)
    with pytest.raises(HarnessError, match="is a link; remove it and what it leads to by hand"):
        remove_runs(out, stored_runs(out))
    assert stored.folder.spec.exists()
