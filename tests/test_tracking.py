"""Trackers: they change no number, repeat nothing, can be read back, and fail alone."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import api
from harness.config.errors import UsageError
from harness.execution import trackers
from harness.execution.execute import Control, RunOutcome, execute
from harness.execution.process import Worker, worker_of
from harness.execution.trackers.protocol import Matrix
from harness.execution.trackers.tensorboard import heat_map, markdown
from harness.planning.plan import Plan
from harness.store.files import read_json_object
from harness.store.results import read
from tests.plans import plan_of

RECIPE = """
base: smoke
train: {steps: 6, warmup_steps: 1, decay_steps: 6, validate_every_steps: 2}
test: {images: 1, draws: 1, centre_px: 64}
runtime: {checkpoint_every_steps: 3}
"""
COLUMNS = ["denoise15", "denoise25", "denoise50", "derain", "dehaze"]
PLAIN = Worker(device="cpu", threads=1)


def tracked_by(tracker: str) -> Worker:
    return replace(PLAIN, tracker=tracker)


def plan_in(out: Path, **fields: Any) -> Plan:
    out.mkdir(parents=True, exist_ok=True)
    recipe = out / "recipe.yaml"
    recipe.write_text(RECIPE)
    return plan_of(["promptir"], out, recipe=str(recipe), **fields)


def compute(plan: Plan, worker: Worker, stop: Callable[[], bool] | None = None) -> RunOutcome:
    """Compute the last run of a plan; the first is the degraded input."""
    control = Control() if stop is None else Control(stop=stop)
    return execute(plan.runs[-1], plan, worker, control)


def folder_of(plan: Plan, tracker: str) -> Path:
    return plan.out / "tracking" / tracker / plan.runs[-1].id


def assert_same_run(plan: Plan, other: Plan) -> None:
    one, two = plan.runs[-1], other.runs[-1]
    assert one.id == two.id
    assert one.folder.weights.read_bytes() == two.folder.weights.read_bytes()
    assert read([one.folder.results]) == read([two.folder.results])


@pytest.fixture(scope="module", autouse=True)
def no_login() -> Any:
    """No variable of the machine decides what trackers do."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = plan_in(tmp_path_factory.mktemp("untracked"))
    assert not compute(plan, PLAIN).error
    assert not (plan.out / "tracking").exists()
    return plan


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    pytest.importorskip("tensorboard")
    plan = plan_in(tmp_path_factory.mktemp("tracked"), probes=True)
    assert not compute(plan, tracked_by("tensorboard")).error
    return plan


def stops_after(steps: int) -> Callable[[], bool]:
    """Ask to stop after so many training steps; the first call comes before any."""
    calls = iter(range(10**6))
    return lambda: next(calls) >= steps


def events(plan: Plan) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sizes = {"scalars": 0, "images": 0, "tensors": 0}
    return EventAccumulator(str(folder_of(plan, "tensorboard")), size_guidance=sizes).Reload()


def steps_of(plan: Plan, tag: str) -> list[int]:
    return [event.step for event in events(plan).Scalars(tag)]


def course(plan: Plan) -> list[dict[str, Any]]:
    lines = plan.runs[-1].folder.validation.read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_tensorboard_changes_nothing(untracked: Plan, tracked: Plan) -> None:
    assert_same_run(tracked, untracked)


def test_events_are_those_that_are_stored(tracked: Plan) -> None:
    found = events(tracked)
    stored = course(tracked)
    assert [line["step"] for line in stored] == [2, 4, 6]
    for tag, value_of in {
        "validation/mean": lambda line: line["score"],
        "validation/derain": lambda line: line["per_task"]["derain"],
        "loss/l1": lambda line: line["losses"]["l1"],
    }.items():
        scalars = found.Scalars(tag)
        assert [event.step for event in scalars] == [2, 4, 6]
        expected = [value_of(line) for line in stored]
        assert [event.value for event in scalars] == pytest.approx(expected)
    rates = [event.value for event in found.Scalars("training/learning_rate")]
    assert all(rate > 0 for rate in rates)
    assert len(set(rates)) == 3
    assert all(event.value > 0 for event in found.Scalars("training/images_per_s"))


def test_scores_images_and_probes_are_reported(tracked: Plan) -> None:
    found = events(tracked)
    results = read([tracked.runs[-1].folder.results])
    for column in COLUMNS:
        values = [r.value for r in results if (r.column, r.metric) == (column, "psnr_rgb")]
        (event,) = found.Scalars(f"scores/{column} psnr_rgb")
        assert event.step == 6
        assert event.value == pytest.approx(np.mean(values))
        (image,) = found.Images(f"images/{column} astronaut#0")
        assert (image.height, image.width) == (64, 3 * 64)
    texts = found.Tags()["tensors"]
    assert "run/text_summary" in texts
    for name in ("prompts/expert load level1", "prompts/psnr_db", "probes/expert load level1"):
        assert f"{name}/text_summary" in texts
        assert name in found.Tags()["images"]


def test_a_run_that_is_cut_off_goes_on_without_repeating(tmp_path: Path, untracked: Plan) -> None:
    pytest.importorskip("tensorboard")
    plan = plan_in(tmp_path / "out")
    worker = tracked_by("tensorboard")
    assert compute(plan, worker, stops_after(3)).interrupted

    class KilledError(Exception):
        pass

    calls = iter(range(10**6))

    def kill_after_step_5() -> bool:
        if next(calls) == 2:
            raise KilledError
        return False

    assert "KilledError" in compute(plan, worker, kill_after_step_5).error
    assert [line["step"] for line in course(plan)] == [2, 4]
    assert not compute(plan, worker).error
    assert [line["step"] for line in course(plan)] == [2, 4, 4, 6], "the training did repeat a step"
    for tag in ("validation/mean", "loss/l1", "training/images_per_s"):
        assert steps_of(plan, tag) == [2, 4, 6]
    assert_same_run(plan, untracked)


def test_a_finished_run_adds_nothing_and_a_new_metric_only_itself(tracked: Plan) -> None:
    before = sorted(folder_of(tracked, "tensorboard").iterdir())
    asked = plan_of(
        ["promptir"], tracked.out, recipe=tracked.request.recipe, metrics=("psnr_y601",)
    )
    assert not compute(asked, tracked_by("tensorboard")).error
    assert len(sorted(folder_of(tracked, "tensorboard").iterdir())) == len(before) + 1
    for metric in ("psnr_rgb", "psnr_y601"):
        assert steps_of(tracked, f"scores/derain {metric}") == [6]
    assert len(events(tracked).Images("images/derain astronaut#0")) == 1
    assert steps_of(tracked, "validation/mean") == [2, 4, 6]


def test_another_score_has_groups_of_its_own(tracked: Plan) -> None:
    recipe = tracked.request.recipe
    asked = plan_of(
        ["promptir"], tracked.out, recipe=recipe, evaluation={"protocol": ("basicsr-y",)}
    )
    assert not compute(asked, tracked_by("tensorboard")).error
    groups = {tag.split("/")[0] for tag in events(tracked).Tags()["scalars"]}
    other = f"scores three-task {asked.runs[-1].score.protocol.id} {asked.runs[-1].score_id[:8]}"
    assert {"scores", other} <= groups


def records_in(file: Path) -> list[bytes]:
    """Return the records of a file of wandb: a log in blocks of 32 KiB, as LevelDB writes it.

    The file begins with seven bytes. A record is one part, or several; each part begins with a
    checksum (4 bytes), its length (2), and whether it is all (1), the first (2), inner (3) or last
    (4) part.
    """
    data, at, records, parts = file.read_bytes(), 7, [], b""
    while at + 7 <= len(data):
        left_in_block = 32_768 - at % 32_768
        if left_in_block < 7:
            at += left_in_block
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            records.append(parts)
            parts = b""
    return records


def finished_records(file: Path) -> list[Any]:
    """Return the records of a file, when the process of wandb that writes it has ended it."""
    from wandb.proto import wandb_internal_pb2

    for _ in range(200):
        records = list(map(wandb_internal_pb2.Record.FromString, records_in(file)))
        if any(record.HasField("exit") for record in records):
            return records
        time.sleep(0.1)
    raise AssertionError(f"{file} was not ended within 20 s")


def records_of_wandb(plan: Plan) -> tuple[list[dict[str, Any]], set[str]]:
    """Return the rows of all offline runs of a plan's run, and their ids."""
    rows, ids = [], set()
    for file in sorted(folder_of(plan, "wandb").glob("wandb/offline-run-*/run-*.wandb")):
        for record in finished_records(file):
            if record.HasField("run"):
                ids.add(record.run.run_id)
            if record.HasField("history"):
                row = {}
                for item in record.history.item:
                    row["/".join(item.nested_key) or item.key] = json.loads(item.value_json)
                rows.append(row)
    return rows, ids


def test_wandb_goes_on_offline_and_changes_nothing(tmp_path: Path, untracked: Plan) -> None:
    pytest.importorskip("wandb")
    plan = plan_in(tmp_path / "out")
    worker = tracked_by("wandb")
    assert compute(plan, worker, stops_after(3)).interrupted
    assert not compute(plan, worker).error
    assert_same_run(plan, untracked)
    rows, ids = records_of_wandb(plan)
    assert len(ids) == 1
    numbers = [row["_step"] for row in rows]
    assert numbers == sorted(set(numbers)), "wandb drops a row whose number it has"
    validations = {row["training_step"]: row for row in rows if "validation/mean" in row}
    assert list(validations) == [2, 4, 6]
    for line in course(plan):
        assert validations[line["step"]]["validation/mean"] == pytest.approx(line["score"])
    keys = " ".join(set().union(*rows))
    for name in ("scores/derain psnr_rgb", "images/derain astronaut#0", "prompts/psnr_db"):
        assert name in keys


def test_wandb_asks_nobody_for_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    plan = plan_in(tmp_path / "out")
    assert not compute(plan, tracked_by("wandb")).error
    assert "WANDB_MODE=online needs a login; run wandb login first" in capsys.readouterr().err


class Failing:
    """A tracker that fails where it is told to."""

    def __init__(self, where: str, error: BaseException) -> None:
        self.where, self.error = where, error

    def __getattr__(self, name: str) -> Callable[..., None]:
        def received(*_: object) -> None:
            if name == self.where:
                raise self.error

        return received


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("open", ConnectionError("no route to host")),
        ("scalars", OSError(errno.ENOSPC, "No space left on device")),
        ("image", SystemExit(3)),
        ("probe", RuntimeError()),
        ("flush", TimeoutError("60 s")),
        ("close", BrokenPipeError("gone")),
    ],
)
def test_a_failing_tracker_is_one_warning(
    where: str,
    error: BaseException,
    tmp_path: Path,
    untracked: Plan,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def open_tracker(run: object) -> Failing:
        if where == "open":
            raise error
        return Failing(where, error)

    module = types.ModuleType("failing_tracker")
    module.open_tracker = open_tracker  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "failing_tracker", module)
    monkeypatch.setitem(trackers.TRACKERS, "failing", "failing_tracker")
    plan = plan_in(tmp_path / "out")
    if where in ("image", "probe", "flush", "close"):  # only scoring is of interest
        shutil.copytree(untracked.runs[-1].folder.path, plan.runs[-1].folder.path)
        plan.runs[-1].folder.results.unlink()
    assert not compute(plan, tracked_by("failing")).error
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "the tracker failing failed" in warnings[0]
    assert_same_run(plan, untracked)


def test_a_folder_that_cannot_be_written_is_one_warning(
    tmp_path: Path, untracked: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    plan = plan_in(tmp_path / "out")
    (plan.out / "tracking").write_text("no folder")
    assert not compute(plan, tracked_by("tensorboard")).error
    assert capsys.readouterr().err.count("the tracker tensorboard failed") == 1
    assert_same_run(plan, untracked)


def test_a_damaged_record_of_what_was_reported_is_one_warning(
    tmp_path: Path, untracked: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    plan = plan_in(tmp_path / "out")
    state = folder_of(plan, "tensorboard") / "harness.json"
    state.parent.mkdir(parents=True)
    state.write_text('{"steps": 3}')
    assert not compute(plan, tracked_by("tensorboard")).error
    assert "harness.json is damaged; remove its folder" in capsys.readouterr().err
    assert_same_run(plan, untracked)


def test_an_unknown_tracker_is_refused(harness_command: Any, tmp_path: Path) -> None:
    printed = harness_command(
        *("run", "--recipe", "smoke", "--out", str(tmp_path / "out"), "--tracker", "tensorbord")
    )
    assert printed.returncode == 2
    assert "--tracker tensorbord is unknown; did you mean 'tensorboard'?" in printed.stderr
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="did you mean"):
        worker_of(api.Resources(device="cpu", tracker="wand"))


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda asked, *more: None if asked == name else found(asked, *more),
    )
    with pytest.raises(UsageError, match=f"install it with: pip install {name}"):
        worker_of(api.Resources(device="cpu", tracker=name))


def test_trackers_are_imported_only_when_they_are_asked_for() -> None:
    code = (
        "import sys\nfrom harness.execution import execute, process, tracking, training_run\n"
        "from harness.execution import trackers\ntrackers.check_tracker('wandb')\n"
        "loaded = {'wandb', 'tensorboard'} & set(sys.modules)\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_state_says_what_was_received(tracked: Plan) -> None:
    state = read_json_object(folder_of(tracked, "tensorboard") / "harness.json")
    assert state["step"] == 6
    assert len(state["names"]) == len(set(state["names"]))


def test_matrices_are_shown_as_text_and_as_an_image() -> None:
    matrix = Matrix(["a", "b"], ["x", "y"], [[0.0, 1.0], [0.5, None]])
    assert markdown(matrix).splitlines()[-1] == "| b | 0.5 | – |"
    image = heat_map(matrix)
    assert [image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]] == [0, 255, 128, 0]
    assert heat_map(Matrix(["a"], ["x"], [[3.0]])).max() == 0
