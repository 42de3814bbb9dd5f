"""Out-of-distribution test sets: scored by methods that are trained on a setting as ever."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from harness.cli import app
from harness.config.errors import HarnessError, UsageError
from harness.config.files import (
    load_data_set,
    load_ood_set,
    load_setting,
    ood_set_names,
    setting_names,
)
from harness.evaluation.probes.out_of_distribution import ood_tasks
from harness.planning.plan import Plan
from tests import plans


def plan_of(
    methods: list[str], setting: str, test_set: str | None, root: Path | None = None
) -> Plan:
    data = {} if root is None else {"root": root}
    return plans.plan_of(methods, setting=setting, evaluation={"test_set": test_set}, data=data)


@pytest.mark.parametrize("name", ood_set_names())
def test_a_test_set_is_whole_and_names_known_data_sets(name: str) -> None:
    test_set = load_ood_set(name)
    assert test_set.name == name
    columns = {column.name for column in test_set.columns}
    filled = {entry.column for entry in test_set.test_sources}
    assert filled == columns or (test_set.synthetic and not filled)
    for entry in test_set.test_sources:
        groups = {g for layout in load_data_set(entry.set).layouts for g in layout.groups}
        assert entry.group is None or entry.group in groups


@pytest.mark.parametrize("setting", setting_names())
def test_weights_are_those_of_the_setting_and_scores_are_not(setting: str) -> None:
    own = plan_of(["promptir"], setting, None).runs[-1]
    other = plan_of(["promptir"], setting, "ood-noise").runs[-1]
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


def test_kinds_are_those_that_probes_show() -> None:
    """The test set scores all images and seeds of what the probe observes on a few."""
    probed = [task.degradation for _, task in ood_tasks(load_setting("three-task").tasks)]
    others = [found for found in probed if found.kind != "noise"]
    kinds = [task.degradation for task in load_ood_set("ood-kinds").tasks]
    assert sorted(map(repr, others)) == sorted(map(repr, kinds))


def test_an_oracle_needs_tasks_that_the_setting_has() -> None:
    plan_of(["oracle"], "seven-task", "mio-strong")
    with pytest.raises(UsageError, match="'denoise10' is none of three-task's; leave oracle out"):
        plan_of(["oracle"], "three-task", "ood-noise")


def test_test_sets_with_images_of_their_own_need_them() -> None:
    with pytest.raises(UsageError, match="images of its own; add --data-root"):
        plan_of(["promptir"], "three-task", "colour-denoising")


def test_real_images_of_the_set_fill_its_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder, count in (("kodak24", 2), ("raintrainl/norain", 12), ("raintrainl/rain", 12)):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"norain-{number}.png")
    plan = plan_of(["promptir"], "three-task", "colour-denoising", tmp_path)
    filled = [files.column for files in plan.test.files]
    assert sorted(filled) == ["kodak24-15", "kodak24-25", "kodak24-50"]
    assert plan.absent_columns["mcmaster-25"] == "mcmaster"
    assert plan.absent_columns["urban100-50"] == "urban100"
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
    with pytest.raises(UsageError, match="did you mean 'ood-noise'"):
        load_ood_set("ood-nois")


def test_the_name_of_version_0_1_is_accepted() -> None:
    assert load_ood_set("unseen-noise").name == "ood-noise"


def test_run_trains_once_and_keeps_the_prompt_summary(tmp_path: Path) -> None:
    """Another test set is scored with the same weights; the setting's own table stays."""

    def run(*arguments: str, error: str | None = None) -> str:
        command = ["run", "--methods", "cpl", "--recipe", "smoke", "--out", str(tmp_path)]
        done = CliRunner().invoke(app, [*command, *arguments])
        if error is None:
            assert done.exit_code == 0, done.output
        else:
            assert isinstance(done.exception, HarnessError), done.output
            assert error in str(done.exception)
        return done.output

    other = run("--test-set", "ood-noise")
    assert "σ=35" in other
    assert list(tmp_path.glob("tables/three-task+ood-noise-smoke-*.csv"))
    assert "Prompts" not in other
    weights = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    own = run()
    assert "σ=25" in own
    assert "prompt-swap gap" in own
    (summary,) = tmp_path.glob("cpl-s0-*/prompt_summary.json")
    known = json.loads(summary.read_text())["prompts"]
    run("--test-set", "ood-noise", "--metrics", "psnr_y601")
    assert json.loads(summary.read_text())["prompts"] == known
    assert weights == {path: path.stat().st_mtime_ns for path in weights}
    run("--test-set", "ood-noise", "--probes", error="leave --test-set out")
