"""FoundIR, WeatherStream and the union of all degradations: settings, data on disk, tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from harness.cli import app
from harness.config.data_sets import Expected
from harness.config.degradation import built_in_kinds
from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_data_set, load_protocol, load_setting, setting_names
from harness.config.settings import Task
from harness.data.on_disk.found_set import expected_pairs, group_pairs
from harness.data.on_disk.integrity import check_set
from harness.data.on_disk.locate import DataRoots, find_set
from harness.data.on_disk.pairing import find_rule
from harness.data.synthetic.degradations.composed import Composed
from harness.published.reading import load_published
from harness.published.tables import tables_of
from harness.reporting.benchmark_table import benchmark_table
from harness.reporting.renderers.folding import shown_width
from harness.reporting.renderers.terminal import render
from tests.networks import build_tiny
from tests.plans import plan_of

NEW = ("weatherstream", "foundir", "union")
WEATHERS = ("haze", "rain", "snow")

SHORT = """
base: smoke
train: {steps: 14, decay_steps: 14, warmup_steps: 0, validate_every_steps: 14}
auxiliary: {steps: 2}
test: {images: 1, centre_px: 48}
"""


# --- what the settings say -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["foundir", "weatherstream"])
def test_columns_are_those_of_the_printed_table_in_its_order(name: str) -> None:
    (table,) = tables_of(load_published(), name)
    setting = load_setting(name)
    assert [column.name for column in setting.columns] == [c.name for c in table.columns]
    assert len(setting.columns) == {"foundir": 20, "weatherstream": 3}[name]
    assert len({column.task for column in setting.columns}) == len(setting.columns)


def test_every_mixture_of_foundir_is_made_of_its_parts() -> None:
    tasks = {task.name: task for task in load_setting("foundir").tasks}
    single = {name: task.degradation for name, task in tasks.items() if "-" not in name}
    assert set(single) == {"blur", "noise", "jpeg", "haze", "rain", "raindrop", "lowlight"}
    # Rain and haze are in the scene, darkness is its light, blur the lens, noise the sensor.
    order = ["rain", "haze", "lowlight", "blur", "noise", "jpeg"]
    for name, task in tasks.items():
        if name in single:
            continue
        assert isinstance(task.degradation, Composed)
        parts = sorted(name.split("-"), key=order.index)
        assert list(task.degradation.parts) == [single[part] for part in parts]


def kinds(task: Task) -> set[str]:
    return set(task.degradation.versions())


def test_the_union_has_every_kind_and_each_as_other_settings_have_it() -> None:
    union = load_setting("union")
    assert set().union(*map(kinds, union.tasks)) == set(built_in_kinds()) - {"given"}
    others: list[object] = []
    for name in setting_names():
        if name not in NEW:
            others += [task.degradation for task in load_setting(name).tasks]
    own = [t.name for t in union.tasks if t.degradation not in others]
    assert own == ["defocus"], "no other setting has it"
    shares: dict[str, float] = {}
    for task in union.tasks:
        shares[task.family] = shares.get(task.family, 0) + task.share
    assert len(set(shares.values())) == 1
    assert union.families[:7] == ("sr", "blur", "denoise", "jpeg", "derain", "dehaze", "lowlight")
    tested = {source.column for source in union.test_sources}
    assert {column.name for column in union.columns} - tested == {"defocus"}


def test_the_union_is_learnt_mixed_and_one_after_another() -> None:
    plan = plan_of(["promptir", "promptir@sequential"], setting="union", recipe="paper")
    mixed, sequential = plan.runs[-2:]
    names = load_setting("union").task_names
    assert [stage.tasks for stage in mixed.train.stages] == [names]
    families = load_setting("union").families
    assert len(sequential.train.stages) == len(families)
    assert sequential.train.stages[0].tasks == ("sr",)
    assert sequential.train.stages[2].tasks[-3:] == ("denoise15", "denoise25", "denoise50")
    assert sequential.train.stages[-1].tasks == names
    assert sequential.train.stages[-1].steps == 400_000


def test_protocols_say_what_is_not_known() -> None:
    rain, foundir = load_protocol("gt-rain"), load_protocol("foundir")
    assert (rain.protocol.crop_multiple, rain.protocol.crop_at) == (4, "top-left")
    assert rain.protocol.metrics == ("psnr_rgb", "ssim_rgb_uniform7_range2")
    assert "not known" in rain.notes
    assert foundir.protocol.metrics == ("psnr_rgb", "ssim_yiq8_gauss11")
    assert foundir.protocol.quantise == "round"


# --- data on disk --------------------------------------------------------------------------------


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def foundir_tree(root: Path) -> Path:
    """Two pairs in each of the twenty folders, of two file types as the published ones."""
    rng = np.random.default_rng(0)
    number = 0
    for group in load_data_set("foundir-test").layouts[0].groups:
        for _ in range(2):
            number += 1
            clean = rng.integers(0, 200, (50, 64, 3))
            save(root / f"FoundIR/{group}/GT/{number:04}.png", clean)
            suffix = "JPG" if "JPEG" in group else "png"
            save(root / f"FoundIR/{group}/LQ/{number:04}.{suffix}", clean + 20)
    return root


def scenes_tree(root: Path, train: bool = False) -> Path:
    """Scenes of each weather: frames with two kinds of names, one clean image a scene."""
    rng = np.random.default_rng(1)
    part = "WeatherStream/train" if train else "WeatherStream/test"
    for weather in ("fog", "rain", "snow"):
        below = f"{part}/{'WeatherStream_train_' if train else ''}{weather}"
        scenes = [f"{number}_0" for number in range(10)] if train else ["12_0", "12_1"]
        for scene in (*scenes, "Oinari_0-0"):
            clean = rng.integers(0, 200, (50, 65, 3))
            named = scene.startswith("Oinari")
            prefix = f"{scene}-Webcam-R-" if named else "degraded_"
            save(root / below / scene / (f"{scene}-Webcam-C-000.png" if named else "gt.png"), clean)
            for frame in range(2):
                save(root / below / scene / f"{prefix}{frame:03}.png", clean + 10 + frame)
    return root


def test_foundir_is_found_and_counted_by_folder(tmp_path: Path) -> None:
    spec = load_data_set("foundir-test")
    found = find_set(spec, DataRoots(foundir_tree(tmp_path), "test"))
    assert found is not None
    assert not found.unpaired
    assert len(found.pairs) == 40
    assert len(group_pairs(found, "12NightRain")) == 2
    assert [expected_pairs(found, g) for g in (None, "01Blur", "08Haze", "20Lowlight_Noise_JPEG")] \
        == [1500, 150, 200, 50]  # fmt: skip
    assert set(spec.expected.group_pairs) == set(spec.layouts[0].groups)
    used = [source.group for source in load_setting("foundir").test_sources]
    assert sorted(map(str, used)) == sorted(spec.layouts[0].groups)
    problems = {problem.kind for problem in check_set(found).problems}
    assert problems == {"count"}, "forty pairs are not 1,500"


def test_counts_of_groups_are_those_of_the_whole() -> None:
    with pytest.raises(ValueError, match="'group_pairs' are 3 pairs together, and 'pairs' is 4"):
        Expected(pairs=4, group_pairs={"a": 1, "b": 2})


def test_frames_share_the_clean_image_of_their_scene(tmp_path: Path) -> None:
    scenes_tree(tmp_path)
    for weather in WEATHERS:
        found = find_set(load_data_set(f"weatherstream-{weather}"), DataRoots(tmp_path, "test"))
        assert found is not None
        assert not found.unpaired
        assert len(found.pairs) == 6
        assert len(found.clean_files) == 3
        for pair in found.pairs:
            assert pair.degraded is not None
            assert pair.degraded.parent == pair.clean.parent
            assert pair.clean.parent.parent.name in (weather, "fog")
        assert not check_set(found).problems


def test_scenes_in_one_folder_are_told_apart_by_name(tmp_path: Path) -> None:
    wanted = {w: load_data_set(f"weatherstream-{w}").layouts[-1].groups for w in WEATHERS}
    assert [len(wanted[weather]) for weather in WEATHERS] == [15, 17, 13]
    for weather in WEATHERS:
        for scene in wanted[weather]:
            folder = tmp_path / "WeatherStream_test" / scene
            save(folder / "gt.png", np.full((40, 40, 3), 90))
            save(folder / "degraded_000.png", np.full((40, 40, 3), 100))
    for root in (tmp_path, tmp_path / "WeatherStream_test"):
        for weather in WEATHERS:
            found = find_set(load_data_set(f"weatherstream-{weather}"), DataRoots(root, "test"))
            assert found is not None
            assert {pair.group for pair in found.pairs} == set(wanted[weather])
            assert not found.unpaired


def test_a_scene_of_two_clean_images_or_none_is_named(tmp_path: Path) -> None:
    scenes_tree(tmp_path)
    folder = tmp_path / "WeatherStream/test/rain"
    save(folder / "12_0/rain_gt.png", np.zeros((50, 65, 3)))
    (folder / "12_1/gt.png").unlink()
    found = find_set(load_data_set("weatherstream-rain"), DataRoots(tmp_path, "test"))
    assert found is not None
    assert {pair.group for pair in found.pairs} == {"Oinari_0-0"}
    reasons = {item.path.parent.name: item.reason for item in found.unpaired}
    assert reasons["12_0"] == "two clean images match it: gt.png and rain_gt.png"
    assert "is missing" in reasons["12_1"]
    with pytest.raises(HarnessError, match="files of weatherstream-rain"):
        plan_of(["degraded-input"], setting="weatherstream", data={"root": tmp_path})


def test_only_a_layout_pairs_by_one_clean_image() -> None:
    with pytest.raises(UsageError, match="--pairing one-clean is no rule"):
        find_rule("one-clean")


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["run", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def lines_of(out: Path, method: str) -> list[dict[str, str]]:
    (path,) = out.glob("tables/*.csv")
    with path.open() as file:
        return [line for line in csv.DictReader(file) if line["method"] == method]


@pytest.mark.parametrize("name", NEW)
def test_every_new_setting_runs(name: str, tmp_path: Path) -> None:
    recipe = tmp_path / "short.yaml"
    recipe.write_text(SHORT)
    out = tmp_path / "out"
    run("--setting", name, "--methods", "promptir", "--recipe", str(recipe), "--out", str(out))
    setting = load_setting(name)
    lines = lines_of(out, "promptir")
    assert {line["column"] for line in lines} == {*(c.name for c in setting.columns), "average"}
    assert {line["metric"] for line in lines} == set(setting.protocol.metrics)
    assert all(line["images_scored"] == line["images_expected"] for line in lines)
    probes = json.loads(next(out.glob("promptir-*/prompt_summary.json")).read_text())
    assert list(probes["prompts"]["tasks"]) == list(setting.task_names)


def test_weatherstream_is_trained_and_scored_on_a_tree_of_scenes(tmp_path: Path) -> None:
    scenes_tree(scenes_tree(tmp_path / "data"), train=True)
    recipe = tmp_path / "short.yaml"
    recipe.write_text(SHORT.replace("images: 1, centre_px: 48", "images: null, centre_px: null"))
    out = tmp_path / "out"
    words = ("--setting", "weatherstream", "--methods", "promptir", "--recipe", str(recipe))
    run(*words, "--data-root", str(tmp_path / "data"), "--out", str(out))
    lines = lines_of(out, "degraded-input")
    psnr = {line["column"]: float(line["mean"]) for line in lines if line["metric"] == "psnr_rgb"}
    expected = np.mean([20 * np.log10(255 / step) for step in (10, 11)])
    assert psnr == pytest.approx(dict.fromkeys([*WEATHERS, "average"], expected), abs=1e-4)
    assert {line["images_scored"] for line in lines if line["column"] == "rain"} == {"6"}


def test_foundir_on_disk_is_scored_and_says_what_is_missing_of_each_folder(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(dict(build_tiny("restormer").state_dict()), weights)
    recipe = tmp_path / "whole.yaml"
    recipe.write_text("base: smoke\ntest: {images: null, centre_px: null}\n", encoding="utf-8")
    root, out = foundir_tree(tmp_path / "data"), tmp_path / "out"
    words = ["--method", "restormer", "--checkpoint", str(weights), "--recipe", str(recipe)]
    words += ["--setting", "foundir", "--data-root", str(root), "--out", str(out)]
    result = CliRunner().invoke(app, ["evaluate", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    printed = " ".join(result.output.split())
    assert "Not there" not in printed
    assert "Haze 2 of 200" in printed
    assert "L+R 2 of 50" in printed
    lines = lines_of(out, "degraded-input")
    psnr = {line["column"]: float(line["mean"]) for line in lines if line["metric"] == "psnr_rgb"}
    assert psnr["rain-haze"] == pytest.approx(20 * np.log10(255 / 20), abs=1e-4)
    assert set(psnr) == {column.name for column in load_setting("foundir").columns}


def test_foundir_has_no_training_set_and_says_so(tmp_path: Path) -> None:
    data = {"root": foundir_tree(tmp_path / "data")}
    with pytest.raises(UsageError, match=r"foundir names no training sets.*--train-set"):
        plan_of(["promptir"], tmp_path / "out", setting="foundir", data=data)


# --- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120])
def test_twenty_columns_fold_into_grids_that_fit(width: int, tmp_path: Path) -> None:
    recipe = tmp_path / "short.yaml"
    recipe.write_text(SHORT)
    plan = plan_of(["promptir"], tmp_path / "none", setting="foundir", recipe=str(recipe))
    found = benchmark_table(plan)
    text = render(found.table, colour=False, width=width)
    assert max(map(shown_width, text.split("\n"))) <= width
    for column in plan.columns:
        assert column.label in text
