"""Restored images that are kept: in passing, at the end of scoring, and later from the weights."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import api
from harness import launch as launch_room
from harness.api import computing
from harness.config.errors import HarnessError, Interrupted, UsageError
from harness.config.hashing import spec_hash
from harness.config.quoting import quoted_file_name
from harness.evaluation.protocols import eight_bits
from harness.execution import kept_images
from harness.execution.execute import RunOutcome, execute
from harness.execution.kept_images import make_images
from harness.execution.process import Worker
from harness.planning.image_choice import named_images
from harness.planning.plan import Plan, make_plan
from harness.store.files import write_text
from harness.store.image_files import (
    id_of_test_set,
    image_paths,
    read_kept_image,
    restored_path,
    test_image_path,
)
from harness.store.results import append, read
from harness.store.run_folder import RunFolder
from harness.store.stored_results import results_of
from tests.plans import plan_of, quick_plan

WORKER = Worker(device="cpu", threads=1)
CPU = api.Resources(device="cpu", threads=1)
STRANGE = [
    "../../etc/passwd",
    "a/b",
    "a b",
    "..",
    ".",
    "",
    "ä字",
    "a%2Fb",
    "C:\\x",
    "a\0b",
    "x" * 400,
]


def keeping(plan: Plan, choice: str) -> Plan:
    return replace(plan, request=plan.request.model_copy(update={"keep_images": choice}))


def png_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.png"))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A small run that was trained and scored without keeping images."""
    plan = quick_plan(tmp_path_factory.mktemp("runs") / "out")
    for run in plan.runs:
        assert not execute(run, plan, WORKER).error
    return plan


@pytest.fixture
def plan(scored: Plan, tmp_path: Path) -> Plan:
    """The same in a folder of its own."""
    out = tmp_path / "out"
    shutil.copytree(scored.out, out)
    return quick_plan(out)


@pytest.mark.parametrize("image", STRANGE)
@pytest.mark.parametrize("column", ["derain", "..", "a/../../b"])
def test_no_name_leads_out_of_the_folder(image: str, column: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    path = restored_path(folder, "0123", column, image)
    assert path.resolve().is_relative_to(folder.path / "images" / "0123")
    assert len(path.relative_to(folder.path).parts) == 4
    assert max(len(part.encode()) for part in path.parts) < 160
    shared = test_image_path(tmp_path, "4567", column, image, "clean")
    assert shared.resolve().is_relative_to(tmp_path / "images" / "4567" / "clean")


def test_quoted_names_differ_where_names_do() -> None:
    names = [*STRANGE, "a_b", "a%b", "x" * 401, "%2E", "%2E%2E"]
    quoted = [quoted_file_name(name) for name in names]
    assert len(set(quoted)) == len(names)
    assert quoted_file_name("china#0") == "china#0"
    assert quoted_file_name("rain-001.x2") == "rain-001.x2"


def test_levels_are_rounded_as_the_protocol_does() -> None:
    image = np.array([[[-0.5, 0.0, 99.6 / 255], [99.4 / 255, 1.0, 7.0]]], dtype=np.float32)
    assert eight_bits(image, "round").tolist() == [[[0, 0, 100], [99, 255, 255]]]
    assert eight_bits(image, "none").tolist() == [[[0, 0, 100], [99, 255, 255]]]
    assert eight_bits(image, "truncate").tolist() == [[[0, 0, 99], [99, 255, 255]]]


def test_images_are_made_later_without_scoring(plan: Plan) -> None:
    before = {run.id: run.folder.results.read_bytes() for run in plan.runs}
    name = ("derain", named_images(plan.test, ["derain:astronaut#0"])[0][1])
    paths = api.keep_images(plan, [name], CPU)
    assert [path.exists() for path in paths] == [True] * 4
    for run in plan.runs:
        assert run.folder.results.read_bytes() == before[run.id]
        assert run.score is not None
        kept = image_paths(run.folder, run.score, *name)
        restored, clean = read_kept_image(kept.restored), read_kept_image(kept.clean)
        error = np.square(restored / 255.0 - clean / 255.0).mean()
        (value,) = (
            result.value
            for result in results_of(run.folder.results, run.score)
            if (result.column, result.image, result.metric) == (*name, "psnr_rgb")
        )
        assert -10 * np.log10(error) == pytest.approx(value, abs=0.05)


def test_what_is_there_is_not_made_again(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.keep_images(plan, "all", CPU)
    assert len(first) == len(png_files(plan.out)) == 5 * (2 + 2)
    times = {path: path.stat().st_mtime_ns for path in first}

    def fail(*arguments: object) -> None:
        raise AssertionError("nothing is loaded or restored")

    monkeypatch.setattr(kept_images, "trained_network", fail)
    monkeypatch.setattr(kept_images, "restore_pair", fail)
    assert api.keep_images(plan, "all", CPU) == first
    first[1].unlink()  # a test image alone needs no network
    assert api.keep_images(plan, "all", CPU) == first
    del times[first[1]]
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_images_are_kept_in_passing_and_change_no_result(tmp_path: Path, scored: Plan) -> None:
    plan = keeping(quick_plan(tmp_path / "out"), "all")
    for run, other in zip(plan.runs, scored.runs, strict=True):
        assert (run.id, run.score_id) == (other.id, other.score_id), "it is in no hash"
        assert not execute(run, plan, WORKER).error
        assert read([run.folder.results]) == read([other.folder.results])
    in_passing = {path: path.read_bytes() for path in png_files(plan.out)}
    assert len(in_passing) == 5 * (2 + 2)
    shutil.rmtree(plan.out / "images")
    for run in plan.runs:
        shutil.rmtree(run.folder.path / "images")
    api.keep_images(plan, "all", CPU)
    assert {path: path.read_bytes() for path in png_files(plan.out)} == in_passing


def test_the_worst_are_kept_at_the_end_of_scoring(plan: Plan) -> None:
    run = plan.runs[-1]
    stored = read([run.folder.results])
    run.folder.results.unlink()
    asked = keeping(quick_plan(plan.out), "worst:1")
    assert not execute(asked.runs[-1], asked, WORKER).error
    assert read([run.folder.results]) == stored
    assert len(png_files(run.folder.path)) == 5
    assert not png_files(plan.runs[0].folder.path)


def test_the_worst_have_the_lowest_values_and_nan_is_worst(plan: Plan) -> None:
    run = plan.runs[-1]
    template = next(r for r in read([run.folder.results]) if r.metric == "psnr_rgb")
    values = {"a": 20.0, "b": 10.0, "c": float("nan"), "d": float("inf")}
    more = [replace(template, image=image, value=value) for image, value in values.items()]
    run.folder.results.unlink()
    append(run.folder.results, more)
    assert kept_images.chosen_names(run, plan, "worst:3") == [
        (template.column, image) for image in ("c", "b", "a")
    ]
    assert kept_images.chosen_names(run, plan, "none") == []


def test_an_image_that_is_not_finite_has_no_file(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        kept_images,
        "restore_pair",
        lambda subject, pair, guard, tile_px: np.full_like(pair.clean, np.nan),
    )
    paths = api.keep_images(plan, [("derain", "astronaut#0")], CPU)
    assert {path.parent.parent.name for path in paths} == {"degraded", "clean"}


def test_making_images_stops_and_goes_on(plan: Plan) -> None:
    names = named_images(plan.test, ["astronaut#0"])
    done: list[tuple[int, int]] = []
    with pytest.raises(Interrupted, match="goes on"):
        make_images(plan, names, WORKER, lambda *of: done.append(of), stop=lambda: len(done) == 3)
    assert done == [(1, 10), (2, 10), (3, 10)]
    make_images(plan, names, WORKER, lambda *of: done.append(of))
    assert done[3] == (1, 7)


def test_runs_without_weights_are_left_out_or_refused(plan: Plan) -> None:
    plan.runs[-1].folder.weights.unlink()
    with pytest.raises(HarnessError, match="holds no weights of these methods"):
        api.keep_images(plan, "all", CPU)
    make_images(plan, [("derain", "astronaut#0")], WORKER)
    assert len(png_files(plan.out)) == 3


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("worst", "worst:5 for the five worst"),
        ("worst:0", "worst:5 for the five worst"),
        ([("derrain", "astronaut#0")], "no column 'derrain'; did you mean 'derain'"),
        ([("derain", "astronout#0")], "no image 'astronout#0'; did you mean 'astronaut#0'"),
        ([("derain", "../../x")], "no image '../../x'; its images are called like astronaut#0"),
    ],
)
def test_unknown_images_are_refused(plan: Plan, which: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        api.keep_images(plan, which, CPU)  # type: ignore[arg-type]
    assert not png_files(plan.out)


def test_a_request_names_what_is_kept() -> None:
    with pytest.raises(ValueError, match="is no choice of images"):
        plan_of(["promptir"], keep_images="some")
    plan = plan_of(["promptir"], keep_images="worst:12")
    assert plan.request.keep_images == "worst:12"


def test_names_are_found_in_all_columns_or_in_one(scored: Plan) -> None:
    columns = [column.name for column in scored.columns]
    assert named_images(scored.test, ["astronaut#0"]) == [(c, "astronaut#0") for c in columns]
    assert named_images(scored.test, ["derain:astronaut#0, dehaze:astronaut#0"]) == [
        ("derain", "astronaut#0"),
        ("dehaze", "astronaut#0"),
    ]
    with pytest.raises(UsageError, match="did you mean"):
        named_images(scored.test, ["derain:astronaut#1"])


def test_test_images_are_shared_by_runs_of_the_same_test_set(scored: Plan, tmp_path: Path) -> None:
    other = plan_of(["airnet"], tmp_path, recipe=scored.request.recipe)
    assert id_of_test_set(other.test) == id_of_test_set(scored.test)
    fewer = plan_of(["airnet"], tmp_path, recipe="smoke")
    assert id_of_test_set(fewer.test) != id_of_test_set(scored.test)
    assert spec_hash(scored.test) == id_of_test_set(scored.test)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    write_text(tmp_path / "a.png", "no image")
    with pytest.raises(HarnessError, match=r"a\.png cannot be read .* delete it"):
        read_kept_image(tmp_path / "a.png")


def test_the_command_keeps_images(plan: Plan, harness_command) -> None:  # type: ignore[no-untyped-def]
    torch.set_num_threads(1)
    words = ("--methods", "promptir", "--recipe", str(plan.out / "recipe.yaml"), "--out", plan.out)
    words = tuple(map(str, words))
    printed = harness_command("images", *words, "--images", "derain:astronaut#0")
    assert printed.returncode == 0, printed.stderr
    assert "4 images in 4 folders" in printed.stdout
    printed = harness_command("run", *words, "--keep-images", "worst:1")
    assert printed.returncode == 0, printed.stderr
    assert len(png_files(plan.runs[-1].folder.path)) == 5
    printed = harness_command("images", *words, "--images", "x", "--keep-images", "all")
    assert printed.returncode == 2
    printed = harness_command("run", *words, "--keep-images", "some")
    assert printed.returncode == 2
    assert "keep_images" in printed.stderr


@pytest.mark.parametrize("have_weights", [True, False], ids=["stored", "imported"])
def test_failed_runs_are_named_although_images_are_kept(
    plan: Plan, have_weights: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one run has its scores, with weights or from an archive without; the other one fails."""

    def launch(plan: Plan, worker: Worker) -> list[RunOutcome]:
        return [RunOutcome(failing.label, failing.id, error="the disk is on fire")]

    if not have_weights:
        plan.runs[-1].folder.weights.unlink()
    request = plan.request.model_copy(update={"keep_images": "all", "seeds": (0, 1)})
    plan = make_plan(request)
    failing = next(run for run in plan.runs if run.train.seed == 1)
    monkeypatch.setattr(launch_room, "launcher", lambda name: launch)
    with pytest.raises(HarnessError, match=r"1 of 3 runs failed: promptir seed 1: the disk is"):
        api.run(plan, CPU)
    assert bool(png_files(plan.out)) is have_weights


def test_images_of_a_failed_run_are_not_restored(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its network may be what fails."""

    def launch(plan: Plan, worker: Worker) -> list[RunOutcome]:
        return [RunOutcome(plan.runs[-1].label, plan.runs[-1].id, error="its network fails")]

    monkeypatch.setattr(launch_room, "launcher", lambda name: launch)
    monkeypatch.setattr(computing, "is_complete", lambda plan: False)
    with pytest.raises(HarnessError, match="its network fails"):
        api.run(keeping(plan, "all"), CPU)
    assert png_files(plan.runs[0].folder.path)
    assert not png_files(plan.runs[-1].folder.path)
