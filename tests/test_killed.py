"""Processes that are killed, disks that are full, and disks that may only be read."""

from __future__ import annotations

import errno
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import harness
from harness.config.errors import HarnessError, UsageError
from harness.execution import execute as execution
from harness.execution import training_run
from harness.execution.execute import execute
from harness.execution.process import Worker
from harness.execution.status import run_status
from harness.planning.plan import Plan
from harness.reporting.figures.prompts import draw_prompts
from harness.reporting.paper_table import paper_table_of
from harness.reporting.plan_summary import reevaluated_summary
from harness.reporting.table_report import write_texts
from harness.store import files
from harness.store.files import (
    append_lines,
    check_writable,
    file_name,
    remove_leftovers,
    write_bytes,
    write_text,
)
from harness.store.results import read
from harness.store.run_folder import RunFolder
from harness.training import checkpoint, loop
from harness.training.checkpoint import save_weights
from tests.plans import QUICK_RECIPE, plan_of, quick_plan

WORKER = Worker("cpu", 1)


class KilledError(KeyboardInterrupt):
    """Ends everything, as SIGKILL does: what handles the errors of a run lets it through."""


def compute(plan: Plan) -> list[str]:
    """Compute what is missing of a plan, and return the errors."""
    errors = []
    for run in plan.all_runs:
        if run_status(run, plan) != "done":
            errors.append(execute(run, plan, WORKER).error)
    return [error for error in errors if error]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an output folder with a method that needs a classifier."""
    out = tmp_path_factory.mktemp("finished")
    assert not compute(quick_plan(out, "explicit"))
    return out


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Plan:
    shutil.copytree(finished, tmp_path / "out")
    return quick_plan(tmp_path / "out", "explicit")


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file of this process grow beyond 20 kB, so that writes fail as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- one commit point --------------------------------------------------------------------


def files_of(folder: RunFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


@pytest.mark.parametrize("killed_in", ["write_json", "save_weights"])
def test_a_training_killed_at_its_end_is_finished_again(
    killed_in: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = quick_plan(tmp_path, "explicit")
    classifier = plan.auxiliary[0]

    def kill(*_: Any) -> None:
        raise KilledError

    monkeypatch.setattr(loop, killed_in, kill)
    with pytest.raises(KilledError):
        execute(classifier, plan, WORKER)
    assert "weights.safetensors" not in files_of(classifier.folder)
    assert run_status(classifier, plan) != "done"
    monkeypatch.undo()
    assert not compute(plan)
    whole = finished / classifier.id / "weights.safetensors"
    assert classifier.folder.weights.read_bytes() == whole.read_bytes()
    assert classifier.folder.has_weights()


def test_weights_without_provenance_get_it_again(copy: Plan) -> None:
    classifier, run = copy.auxiliary[0], copy.runs[-1]
    known = json.loads(classifier.folder.provenance.read_text())
    weights = classifier.folder.weights.read_bytes()
    classifier.folder.provenance.unlink()
    run.folder.results.unlink()
    run.folder.prompt_summary.unlink()
    assert run_status(classifier, copy) == "unfinished"
    assert not compute(copy)
    again = json.loads(classifier.folder.provenance.read_text())
    for key in ("validation_per_task", "parameters", "steps", "device"):
        assert again[key] == known[key]
    assert classifier.folder.weights.read_bytes() == weights, "nothing is trained again"
    summary = json.loads(run.folder.prompt_summary.read_text())
    assert summary["classifiers"]["task-classifier"] == known["validation_per_task"]


def test_a_checkpoint_left_behind_the_last_write_is_removed(copy: Plan) -> None:
    run = copy.runs[-1]
    run.folder.checkpoint.write_bytes(b"left")
    run.folder.results.unlink()
    assert not compute(copy)
    assert not run.folder.checkpoint.exists()


def test_the_traceback_of_a_run_that_later_succeeds_is_removed(
    copy: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy.runs[-1]
    run.folder.results.unlink()

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("defect")

    monkeypatch.setattr(execution, "run_status", fail)
    run.folder.provenance.unlink()
    assert "traceback.txt" in execute(run, copy, WORKER).error
    assert (run.folder.path / "traceback.txt").exists()
    monkeypatch.undo()
    assert not compute(copy)
    assert not (run.folder.path / "traceback.txt").exists()


def pretrained(copy: Plan, out: Path) -> Plan:
    """Return a plan of the weights of the classifier's user as those of an author."""
    source = copy.out / "author.safetensors"
    trained = quick_plan(copy.out / "restormer", "restormer")
    assert not compute(trained)
    shutil.copy(trained.runs[-1].folder.weights, source)
    return plan_of([], out, recipe=str(copy.out / "recipe.yaml"), checkpoint={"file": source})


def test_the_paper_table_needs_no_provenance(copy: Plan) -> None:
    plan = pretrained(copy, copy.out)
    assert not compute(plan)
    run = plan.runs[-1]
    with_source = paper_table_of(plan, "three-task").to_text()
    assert "weights of author.safetensors" in with_source
    run.folder.provenance.unlink()
    summary = reevaluated_summary(plan)
    assert summary is not None
    assert summary.request.methods[0].notes == ("weights of a file",)
    assert run.method.label.split(":")[0] in paper_table_of(plan, "three-task").to_text()


def test_a_killed_import_of_weights_is_finished_again(
    copy: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = pretrained(copy, copy.out / "again")
    run = plan.runs[-1]

    def kill(*_: Any) -> None:
        raise KilledError

    monkeypatch.setattr(training_run, "save_weights", kill)
    with pytest.raises(KilledError):
        execute(run, plan, WORKER)
    monkeypatch.undo()
    assert not compute(plan)
    provenance = run.folder.read_provenance()
    assert provenance["source"] == "author.safetensors"
    assert provenance["checkpoint_sha256"] == run.train.checkpoint_sha256


def test_a_checkpoint_that_spandrel_knows_has_provenance(tmp_path: Path) -> None:
    nafnet = pytest.importorskip("spandrel.architectures.NAFNet").NAFNet
    network = nafnet(width=8, middle_blk_num=1, enc_blk_nums=[1], dec_blk_nums=[1])
    torch.save(network.state_dict(), tmp_path / "author.pth")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(QUICK_RECIPE)
    asked = {"file": tmp_path / "author.pth", "method": "spandrel"}
    plan = plan_of([], tmp_path / "out", recipe=str(recipe), checkpoint=asked)
    assert not compute(plan)
    assert plan.runs[-1].folder.read_provenance()["source"] == "author.pth"
    assert "weights of author.pth" in paper_table_of(plan, "three-task").to_text()


# --- left behind -------------------------------------------------------------------------


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def kill_while_writing(path: Path) -> None:
    """Kill a process between the write and the rename of a file."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom harness.store.files import write_text\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "write_text(Path(sys.argv[1]), 'x')\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -9


def test_what_a_killed_writer_left_is_removed_by_the_next_run(copy: Plan) -> None:
    run = copy.runs[-1]
    tables = copy.out / "tables"
    for path in (run.folder.provenance, tables / "t.md", copy.out / "probe"):
        kill_while_writing(path)
    assert len(list(copy.out.rglob(".*.tmp"))) == 3
    run.folder.results.unlink()
    harness.run(copy, device="cpu", threads=1)
    write_texts(tables, "t", {".md": "x"})
    assert not list(copy.out.rglob(".*.tmp"))


def test_files_of_writers_that_may_run_stay(tmp_path: Path) -> None:
    here = files.temporary_path(tmp_path / "mine.json")
    elsewhere = tmp_path / f".theirs.json.another.{dead_process()}.tmp"
    old = tmp_path / f".old.json.another.{dead_process()}.tmp"
    for path in (here, elsewhere, old):
        path.write_text("")
    long_ago = time.time() - 10**6
    os.utime(old, (long_ago, long_ago))
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([here, elsewhere])


# --- full disks --------------------------------------------------------------------------

BIG = "x" * 100_000


@pytest.mark.usefixtures("small_files")
def test_every_writer_names_a_full_disk_in_one_sentence(tmp_path: Path) -> None:
    spec = quick_plan(tmp_path).runs[-1].train
    weights = {"a": torch.zeros(100, 100)}
    state = checkpoint.TrainingState(
        1, weights, {"state": weights}, None, None, None, None, "", 1, 1.0
    )
    lines = tmp_path / "lines"
    append_lines(lines, ["short"])
    writers = [
        lambda: write_text(tmp_path / "text", BIG),
        lambda: append_lines(lines, [BIG]),
        lambda: save_weights(tmp_path / "weights", weights, spec),
        lambda: checkpoint.save_state(tmp_path / "checkpoint", "id", "m", state),
        lambda: draw_prompts("label", ANALYSIS, tmp_path / "figure"),
        lambda: check_writable(tmp_path / "folder"),
    ]
    for write in writers:
        with pytest.raises(HarnessError, match=r"cannot be written: File too large; free space"):
            write()
    assert lines.read_text() == "short\n", "all of the lines or none"
    assert not list(tmp_path.glob(".*.tmp"))


ANALYSIS = {
    "columns": ["derain"],
    "routing": {"level1": {"expert_load": {"derain": [1.0]}}},
    "redundancy": {"level1": {"cosine": [[1.0]], "cka": [[1.0]]}},
    "prompt_swap": {"psnr_db": [[30.0]]},
}


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_ends_one_run_and_not_the_others(
    copy: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in copy.runs:
        run.folder.results.unlink()
    monkeypatch.setattr(files.os, "fsync", full_disk)
    errors = compute(copy)
    assert len(errors) == len(copy.runs) == 2
    for error in errors:
        assert "results.jsonl cannot be written: No space left on device" in error
    monkeypatch.undo()
    assert not compute(copy)
    expected = copy.test.images_by_column()
    assert len(read([copy.runs[-1].folder.results])) == 2 * sum(map(len, expected.values()))


def test_a_full_disk_does_not_hide_a_defect(copy: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    run = copy.runs[-1]
    run.folder.results.unlink()
    run.folder.provenance.unlink()

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("defect")

    monkeypatch.setattr(execution, "run_status", fail)
    monkeypatch.setattr(files.os, "fsync", full_disk)
    error = execute(run, copy, WORKER).error
    assert error == "ZeroDivisionError: defect; its traceback could not be written"


# --- disks that may only be read ---------------------------------------------------------


def test_a_finished_run_writes_nothing_again(copy: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = copy.out / "tables"
    written = harness.table(copy).write(tables)
    written += draw_prompts("label", ANALYSIS, tables / "figure")
    before = {path: path.stat().st_mtime_ns for path in copy.out.rglob("*")}
    monkeypatch.setattr(files, "write_atomically", full_disk)
    assert harness.run(copy) == []
    again = harness.table(copy).write(tables)
    again += draw_prompts("label", ANALYSIS, tables / "figure")
    assert again == written
    assert {path: path.stat().st_mtime_ns for path in copy.out.rglob("*")} == before


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"one")
    inode = path.stat().st_ino
    write_bytes(path, b"one")
    assert path.stat().st_ino == inode
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"


# --- names of files ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("three-task-smoke", "three-task-smoke"),
        ("cpl:top_k=2", "cpl_top_k=2"),
        ("a/../../../../evil", "a_.._.._.._.._evil"),
        ("..", "_"),
        ("/etc/passwd", "_etc_passwd"),
        (".hidden", "_hidden"),
        ("C:\\x", "C_x"),
        ("", "_"),
        ("a\nb\0c", "a_b_c"),
        ("去噪", "去噪"),
    ],
)
def test_names_stay_in_their_folder(text: str, name: str) -> None:
    assert file_name(text) == name


def test_long_names_fit_a_file_system() -> None:
    assert len(file_name("去" * 500).encode()) <= 160
    folder = RunFolder.of(Path("out"), "去" * 500, 0, "0" * 16)
    assert len(folder.path.name.encode()) < 255
    assert RunFolder.of(Path("o"), "cpl:top_k=2", 0, "ab").path == Path("o/cpl_top_k=2-s0-ab")


def test_no_name_of_a_test_set_leaves_the_output_folder(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b" / "c" / "out"
    plan = quick_plan(out)
    evil = tmp_path / "evil.yaml"
    evil.write_text(
        "name: a/../../../../evil\nversion: 1\ntitle: T\nsources: []\n"
        "tasks:\n  - {name: n, family: denoise, degradation: {kind: noise, sigma_255: [9, 9]}}\n"
        "columns:\n  - {name: n, task: n, label: n, latex_label: n, group: g, draws: 1}\n"
    )
    with pytest.raises(UsageError, match="name"):
        plan_of(
            ["degraded-input"], out, recipe=plan.request.recipe, evaluation={"test_set": str(evil)}
        )
    assert {path.name for path in tmp_path.iterdir()} == {"a", "evil.yaml"}


def test_the_machine_is_part_of_temporary_names() -> None:
    name = files.temporary_path(Path("folder/spec.json")).name
    assert name.startswith(".spec.json.")
    assert name.endswith(f".{os.getpid()}.tmp")
    assert "." not in name.removeprefix(".spec.json.").removesuffix(f".{os.getpid()}.tmp")
    assert platform.node().split(".")[0][:10] in name
