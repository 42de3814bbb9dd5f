"""Test sets outside the settings: scored by methods that are trained on a setting as ever."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from harness.cli import app
from harness.config.data_sets import load_data_set
from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_ood_set, load_setting, ood_set_names, setting_names
from harness.data.on_disk.locate import DataRoots
from harness.planning.overrides import EvaluationOverrides
from harness.planning.plan import Disk, Plan, make_plan


def plan_of(
    methods: list[str], setting: str, outside: str | None, disk: Disk | None = None
) -> Plan:
    changes = EvaluationOverrides(test_set=outside)
    return make_plan(methods, setting, "smoke", [0], (), Path("unused"), disk, changes)


@pytest.mark.parametrize("name", ood_set_names())
def test_a_card_is_whole_and_names_known_sets(name: str) -> None:
    card = load_ood_set(name)
    assert card.name == name
    assert {entry.column for entry in card.test_sources} == {column.name for column in card.columns}
    for entry in card.test_sources:
        groups = {g for layout in load_data_set(entry.set).layouts for g in layout.groups}
        assert entry.group is None or entry.group in groups


@pytest.mark.parametrize("setting", setting_names())
def test_weights_are_those_of_the_setting_and_scores_are_not(setting: str) -> None:
    own = plan_of(["promptir"], setting, None).runs[-1]
    other = plan_of(["promptir"], setting, "unseen-noise").runs[-1]
    assert other.weights_id == own.weights_id
    assert other.score is not None
    assert own.score is not None
    assert [column.name for column in other.score.test.columns] == [
        f"denoise{sigma}" for sigma in (10, 20, 35, 75, 100)
    ]
    assert other.score.protocol == own.score.protocol
    assert other.score.test.preprocessing == own.score.test.preprocessing
    assert other.score.test.photographs == own.score.test.photographs


def test_strong_degradations_begin_where_training_ends() -> None:
    """MiOIR's ranges; super-resolution has one factor."""
    trained = {task.name: task.degradation for task in load_setting("seven-task").tasks}
    strong = {task.name: task.degradation for task in load_ood_set("mio-strong").tasks}
    assert set(trained) - set(strong) == {"sr"}
    stronger_from = {
        "blur": "sigma_px",
        "noise": "sigma_255",
        "rain": "density",
        "haze": "beta",
        "dark": "gamma",
    }
    for name, parameter in stronger_from.items():
        assert getattr(strong[name], parameter)[0] == getattr(trained[name], parameter)[1]
    assert strong["jpeg"].quality[1] == trained["jpeg"].quality[0]  # type: ignore[union-attr]


def test_who_is_told_the_task_is_told_it_where_the_setting_has_it() -> None:
    plan_of(["oracle"], "seven-task", "mio-strong")
    with pytest.raises(UsageError, match="'denoise10' is none of three-task's; leave oracle out"):
        plan_of(["oracle"], "three-task", "unseen-noise")


def test_sets_of_photographs_need_them() -> None:
    with pytest.raises(UsageError, match="photographs of its own; add --data-root"):
        plan_of(["promptir"], "three-task", "colour-denoising")


def test_real_images_of_the_set_fill_its_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder, count in (("kodak24", 2), ("raintrainl/norain", 12), ("raintrainl/rain", 12)):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"norain-{number}.png")
    disk = Disk(DataRoots(tmp_path, "--data-root"), {})
    plan = plan_of(["promptir"], "three-task", "colour-denoising", disk)
    assert sorted(plan.files) == ["kodak24-15", "kodak24-25", "kodak24-50"]
    assert plan.absent["mcmaster-25"] == "mcmaster"
    assert plan.absent["urban100-50"] == "urban100"
    assert plan.setting.name == "three-task+colour-denoising"


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nversion: 1\ntitle: Faint noise\nsources: [mine]\n"
        "tasks: [{name: faint, family: denoise, degradation: {kind: noise, sigma_255: [5, 5]}}]\n"
        "columns: [{name: faint, task: faint, group: G, label: F, latex_label: F, draws: 1}]\n"
    )
    plan = plan_of(["promptir"], "five-task", str(path))
    assert [column.name for column in plan.columns] == ["faint"]
    path.write_text(path.read_text().replace("task: faint", "task: fain"))
    with pytest.raises(UsageError, match="column 'faint' names task 'fain'"):
        plan_of(["promptir"], "five-task", str(path))


def test_a_misspelt_set_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'unseen-noise'"):
        load_ood_set("unseen-nois")


def test_run_trains_once_and_keeps_the_probes(tmp_path: Path) -> None:
    """Another test set takes the same weights, and touches nothing of the setting's own table."""

    def run(*arguments: str, error: str | None = None) -> str:
        command = ["run", "--methods", "cpl", "--recipe", "smoke", "--out", str(tmp_path)]
        done = CliRunner().invoke(app, [*command, *arguments])
        if error is None:
            assert done.exit_code == 0, done.output
        else:
            assert isinstance(done.exception, HarnessError), done.output
            assert error in str(done.exception)
        return done.output

    outside = run("--test-set", "unseen-noise")
    assert "σ=35" in outside
    assert "three-task+unseen-noise-smoke.csv" in outside
    assert "Prompts" not in outside
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    own = run()
    assert "σ=25" in own
    assert "wrong prompt costs" in own
    (probes,) = tmp_path.glob("runs/cpl-s0-*/probes.json")
    known = json.loads(probes.read_text())["prompts"]
    run("--test-set", "unseen-noise", "--metrics", "psnr_y601")
    assert json.loads(probes.read_text())["prompts"] == known
    assert weights == {path: path.stat().st_mtime_ns for path in weights}
    run("--test-set", "unseen-noise", "--probes", error="leave --test-set out")
