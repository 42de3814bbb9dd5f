"""Settings, protocols, data sets, degradations and test sets of one's own, and checking them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

import harness
from harness.cli import app
from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_data_set, load_protocol, load_setting
from harness.config.folders import INCLUDE_VARIABLE, recipe_names
from harness.config.protocols import Protocol
from harness.config.recipe_files import load_recipe
from harness.evaluation.metrics.psnr import psnr_rgb
from harness.evaluation.protocols import apply_protocol
from harness.execution.preflight import check_own_code
from harness.planning.plan import Plan
from harness.planning.validate import validate_file
from harness.registry.plugins import PLUGINS_VARIABLE
from harness.reporting.benchmark_table import benchmark_table
from tests.plans import plan_of

ROOT = Path(__file__).parents[1]

SETTING = """
name: fog-and-noise
title: Fog and noise
tasks:
  - {name: noise30, family: denoise, degradation: {kind: noise, sigma_255: [30, 30]}}
  - name: fog
    family: dehaze
    degradation:
      kind: haze
      beta: [0.5, 1.0]
      airlight: [0.9, 1.0]
columns:
  - {name: noise30, task: noise30}
  - {name: fog, task: fog, draws: 2}
synthetic: three-task
preprocessing: three-task
protocol: three-task
"""

PROTOCOL = """
name: cut-off
protocol: {id: rgb-cut-off, metrics: [psnr_rgb], quantise: truncate}
"""

DATA_SET = """
name: mynoise
label: MyNoise
split: test
folders: [mynoise]
layouts:
  - {name: pairs, degraded: noisy, clean: clean, pairing: same-name}
"""

GIVEN = """
name: real-noise
title: Real noise
tasks: [{name: real, family: denoise, degradation: {kind: given}}]
columns: [{name: real, task: real, label: Real}]
test_sources: [{column: real, set: mynoise}]
preprocessing: {id: whole-real, crop_multiple: 1, noise_rounding: none}
protocol: basicsr-y
"""

DARKER = """
from typing import ClassVar, Literal

from harness.config.degradation import Degradation, degradation


@degradation
class Darker(Degradation):
    version: ClassVar[int] = 1
    kind: Literal["{kind}"]

    def apply(self, clean, rngs):
        return clean * {factor}
"""


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the folders and plug-ins of a test when it ends."""
    for variable in (INCLUDE_VARIABLE, PLUGINS_VARIABLE):
        monkeypatch.setenv(variable, "")


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def images(folder: Path, count: int, size: tuple[int, int] = (40, 52)) -> None:
    rng = np.random.default_rng(0)
    for part, spread in (("clean", 0), ("noisy", 20)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            levels = np.full((*size, 3), 100) + rng.integers(0, spread + 1, (*size, 3))
            Image.fromarray(levels.astype(np.uint8)).save(folder / part / f"{number:02d}.png")


@pytest.fixture
def real_noise(tmp_path: Path) -> dict[str, object]:
    """A setting, a data set and images of one's own, as fields of a request."""
    written(tmp_path / "own" / "sets" / "mynoise.yaml", DATA_SET)
    images(tmp_path / "data" / "mynoise", 4)
    return {
        "setting": str(written(tmp_path / "given.yaml", GIVEN)),
        "include": (tmp_path / "own",),
        "data": {"root": tmp_path / "data"},
        "checkpoint": None,
    }


# --- settings ---------------------------------------------------------------------------------


def test_the_contents_of_a_setting_are_what_a_run_is(tmp_path: Path) -> None:
    one = plan_of(["restormer"], setting=str(written(tmp_path / "a" / "x.yaml", SETTING)))
    other = plan_of(["restormer"], setting=str(written(tmp_path / "b" / "y.yaml", SETTING)))
    assert [run.id for run in one.runs] == [run.id for run in other.runs]
    assert [run.score_id for run in one.runs] == [run.score_id for run in other.runs]
    assert one.setting.name == "fog-and-noise"
    assert benchmark_table(one).stem.startswith("fog-and-noise-smoke")
    changed = written(tmp_path / "c.yaml", SETTING.replace("[30, 30]", "[31, 31]"))
    assert plan_of(["restormer"], setting=str(changed)).runs[-1].id != one.runs[-1].id


def test_names_and_ids_of_what_ships_are_not_reused(tmp_path: Path) -> None:
    taken = written(tmp_path / "a.yaml", SETTING.replace("fog-and-noise", "three-task"))
    with pytest.raises(UsageError, match=r"another setting of that name; choose another name"):
        load_setting(str(taken))
    path = written(tmp_path / "b.yaml", SETTING.replace("fog-and-noise", "../evil"))
    with pytest.raises(UsageError, match=r"line 2.*'\.\./evil' is no name"):
        load_setting(str(path))
    rule = "{id: crop16-uint8, crop_multiple: 8, noise_rounding: round}"
    other = SETTING.replace("preprocessing: three-task", f"preprocessing: {rule}")
    with pytest.raises(UsageError, match=r"'crop16-uint8' belongs to the preprocessing of"):
        load_setting(str(written(tmp_path / "c.yaml", other)))
    reused = PROTOCOL.replace("rgb-cut-off", "rgb-float-uniform7")
    with pytest.raises(UsageError, match=r"'rgb-float-uniform7' belongs to protocol five-task"):
        load_protocol(str(written(tmp_path / "d.yaml", reused)))
    copy = (ROOT / "datasets" / "settings" / "three-task.yaml").read_text(encoding="utf-8")
    assert load_setting(str(written(tmp_path / "e.yaml", copy))) == load_setting("three-task")


def test_a_setting_without_images_of_its_own_needs_files(tmp_path: Path) -> None:
    path = written(tmp_path / "a.yaml", SETTING.replace("synthetic: three-task\n", ""))
    with pytest.raises(UsageError, match="fog-and-noise has no synthetic version; add --data-root"):
        plan_of(["restormer"], setting=str(path))
    given = GIVEN + "synthetic: three-task\ntest_sources: []\n"
    given = given.replace("test_sources: [{column: real, set: mynoise}]\n", "")
    path = written(tmp_path / "b.yaml", given)
    with pytest.raises(UsageError, match="task real of setting real-noise has degraded images"):
        plan_of(["restormer"], setting=str(path))


# --- folders ----------------------------------------------------------------------------------


def test_a_folder_adds_every_kind_of_file(tmp_path: Path) -> None:
    written(tmp_path / "settings" / "fog-and-noise.yaml", SETTING)
    written(tmp_path / "protocols" / "cut-off.yaml", PROTOCOL)
    written(tmp_path / "sets" / "mynoise.yaml", DATA_SET)
    plan = plan_of(
        ["restormer"],
        setting="fog-and-noise",
        include=(tmp_path,),
        evaluation={"protocol": "cut-off"},
    )
    assert plan.setting.protocol.quantise == "truncate"
    assert load_data_set("mynoise").label == "MyNoise"


def test_a_folder_never_hides_what_ships(tmp_path: Path) -> None:
    written(tmp_path / "protocols" / "mioir.yaml", PROTOCOL)
    with pytest.raises(UsageError, match="a protocol called 'mioir' exists already"):
        plan_of(["restormer"], include=(tmp_path,))
    with pytest.raises(UsageError, match="is no folder"):
        plan_of(["restormer"], include=(tmp_path / "nowhere",))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds none of the folders settings, sets"):
        plan_of(["restormer"], include=(tmp_path / "empty",))


def darker(folder: Path, kind: str, factor: float) -> Path:
    text = DARKER.replace("{kind}", kind).replace("{factor}", str(factor))
    written(folder / "degradations" / f"{kind}.py", text)
    return folder


def with_kind(kind: str) -> str:
    return SETTING.replace("{kind: noise, sigma_255: [30, 30]}", f"{{kind: {kind}}}")


def test_a_degradation_of_ones_own_is_known_by_its_contents(tmp_path: Path) -> None:
    path = written(tmp_path / "s.yaml", with_kind("darker-a"))
    plans: list[Plan] = []
    for folder in ("one", "copy"):
        include = (darker(tmp_path / folder, "darker-a", 0.5),)
        os.environ[INCLUDE_VARIABLE] = os.environ[PLUGINS_VARIABLE] = ""
        plans.append(plan_of(["restormer"], setting=str(path), include=include))
    assert plans[0].runs[-1].id == plans[1].runs[-1].id, "the path is not what a run is"
    pair = plans[0].source.pairs(plans[0].test).make("noise30", "astronaut#0")
    assert pair.degraded.mean() == pytest.approx(pair.clean.mean() / 2, abs=0.01)
    versions = plans[0].test.degradation_versions
    assert versions["haze"] == load_setting("three-task").task("dehaze").degradation.version
    assert str(versions["darker-a"]).startswith("1-")

    edited = darker(tmp_path / "edited", "darker-a", 0.25)
    os.environ[INCLUDE_VARIABLE] = os.environ[PLUGINS_VARIABLE] = ""
    with pytest.raises(UsageError, match="'darker-a' exists already"):
        plan_of(["restormer"], setting=str(path), include=(edited,))


def test_a_degradation_that_changed_since_its_import_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "s.yaml", with_kind("darker-b"))
    include = (darker(tmp_path / "own", "darker-b", 0.5),)
    plan = plan_of(["degraded-input"], setting=str(path), include=include)
    run = plan.runs[-1]
    check_own_code(run, plan)
    versions = {**plan.test.degradation_versions, "darker-b": "1-of-another-file"}
    test = plan.test.model_copy(update={"degradation_versions": versions})
    with pytest.raises(UsageError, match="degradation 'darker-b' changed since the plan was made"):
        check_own_code(run, dataclasses.replace(plan, test=test))
    darker(tmp_path / "own", "darker-b", 0.25)
    with pytest.raises(UsageError, match="changed since this process imported it"):
        plan_of(["degraded-input"], setting=str(path), include=include)


def test_a_degradation_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    written(tmp_path / "degradations" / "broken.py", "import harness\nraise ValueError('no')\n")
    with pytest.raises(UsageError, match=r"cannot be used: .*broken\.py: ValueError: no"):
        plan_of(["restormer"], include=(tmp_path,))


# --- pairs that come with the files -----------------------------------------------------------


def test_given_pairs_are_scored_as_they_are(real_noise: dict[str, object]) -> None:
    weightless = {name: value for name, value in real_noise.items() if name != "checkpoint"}
    plan = plan_of(["degraded-input"], **{**weightless, "setting": with_training(real_noise)})
    pair = plan.source.pairs(plan.test).make("real", "00")
    assert not np.array_equal(pair.degraded, pair.clean)
    assert pair.clean.shape[:2] == (40, 52), "smoke cuts to 96 pixels at most"
    assert plan.source.pairs(plan.test).data_set("real") == "MyNoise"


def with_training(fields: dict[str, object]) -> str:
    """Return the setting with a training set of ten pairs or more."""
    setting = Path(str(fields["setting"]))
    folder = setting.parent
    train = DATA_SET.replace("mynoise", "mytrain").replace("split: test", "split: train")
    written(folder / "own" / "sets" / "mytrain.yaml", train)
    images(folder / "data" / "mytrain", 12)
    sources = "training_sources: [{family: denoise, set: mytrain}]\n"
    return str(written(folder / "trained.yaml", GIVEN + sources))


def test_given_needs_degraded_files(tmp_path: Path) -> None:
    clean_only = DATA_SET.replace("degraded: noisy, clean: clean, pairing: same-name", "@")
    clean_only = clean_only.replace("@", "clean: clean, pairing: clean-only")
    written(tmp_path / "own" / "sets" / "mynoise.yaml", clean_only)
    images(tmp_path / "data" / "mynoise", 4)
    with pytest.raises(UsageError, match=r"mynoise holds clean images alone, and column real"):
        plan_of(
            ["degraded-input"],
            setting=str(written(tmp_path / "given.yaml", GIVEN)),
            include=(tmp_path / "own",),
            data={"root": tmp_path / "data"},
        )


# --- how much is tested -----------------------------------------------------------------------


def test_a_recipe_and_a_limit_hold_for_files(real_noise: dict[str, object]) -> None:
    fields = {**real_noise, "setting": with_training(real_noise)}
    smoke = plan_of(["degraded-input"], **fields)
    assert smoke.test.images_by_column() == {"real": ["00", "01"]}
    assert smoke.test.centre_px == 96
    mini = plan_of(["degraded-input"], recipe="mini", **fields)
    assert mini.test.images_by_column() == {"real": ["00", "01", "02", "03"]}
    assert mini.test.centre_px is None, "mini cuts embedded photographs alone"
    assert plan_of(["degraded-input"], recipe="mini", limit=9, **fields).test == mini.test
    three = plan_of(["degraded-input"], recipe="mini", limit=3, **fields)
    assert three.test.images_by_column() == {"real": ["00", "01", "02"]}
    assert three.runs[0].score_id != mini.runs[0].score_id
    caption = " ".join(str(benchmark_table(three)).split())
    assert "the first 3 of each column" in caption


def test_a_limit_counts_the_draws_of_embedded_images() -> None:
    whole = plan_of(["degraded-input"], recipe="mini")
    for limit in (1, 3, 6, 8):
        limited = plan_of(["degraded-input"], recipe="mini", limit=limit)
        counts = {len(names) for names in limited.test.images_by_column().values()}
        assert max(counts) <= limit
        assert min(counts) >= 1
    assert plan_of(["degraded-input"], recipe="mini", limit=16).test == whole.test
    assert whole.test.centre_px == 320


def test_the_published_stream_passes_through_images_that_are_not_scored(tmp_path: Path) -> None:
    images(tmp_path / "CBSD68" / "x", 3, size=(32, 48))
    for path in sorted((tmp_path / "CBSD68" / "x" / "clean").iterdir()):
        path.rename(tmp_path / "CBSD68" / path.name)
    for path in (tmp_path / "CBSD68" / "x" / "noisy").iterdir():
        path.unlink()
    (tmp_path / "CBSD68" / "x" / "noisy").rmdir()
    (tmp_path / "CBSD68" / "x" / "clean").rmdir()
    (tmp_path / "CBSD68" / "x").rmdir()
    images(tmp_path / "train", 0)
    pairs = []
    for limit in (None, 1):
        plan = plan_of(
            ["degraded-input"],
            recipe="mini",
            limit=limit,
            data={"root": tmp_path},
            evaluation={"noise_stream": "published"},
            checkpoint=checkpoint(tmp_path),
        )
        pairs.append(plan.source.pairs(plan.test).make("denoise25", "00"))
    np.testing.assert_array_equal(pairs[0].degraded, pairs[1].degraded)


def checkpoint(folder: Path) -> dict[str, object]:
    path = folder / "weights.pth"
    path.write_bytes(b"x")
    return {"file": path, "method": "restormer"}


# --- protocols --------------------------------------------------------------------------------


def test_a_cast_cuts_off_where_rounding_does_not() -> None:
    clean = np.full((8, 8, 3), 100 / 255, np.float32)
    restored = np.full((8, 8, 3), 100.6 / 255, np.float32)
    cut_off, rounded = (
        apply_protocol(restored, clean, Protocol(id=name, metrics=("psnr_rgb",), quantise=name))[0]
        for name in ("truncate", "round")
    )
    assert np.rint(cut_off * 255).max() == 100
    assert np.rint(rounded * 255).min() == 101
    assert np.isinf(psnr_rgb(cut_off, clean))
    assert psnr_rgb(rounded, clean) == pytest.approx(20 * np.log10(255), abs=1e-4)
    levels = (np.arange(256, dtype=np.float32) / np.float32(255)).reshape(16, 16, 1)
    eight_bit = np.repeat(levels, 3, axis=2)
    rule = load_protocol("three-task-png").protocol
    assert rule.quantise == "truncate"
    kept = apply_protocol(eight_bit, eight_bit, rule)[0]
    np.testing.assert_array_equal(np.rint(kept * 255), np.rint(eight_bit * 255))


def test_one_crop_multiple_leaves_images_whole(tmp_path: Path) -> None:
    changes = {"crop_multiple": 1, "protocol": "three-task"}
    plan = plan_of(["degraded-input"], evaluation=changes)
    assert plan.setting.protocol.crop_multiple == 1
    assert plan.setting.protocol.id == "rgb-float-uniform7-cropped-to-1"
    image = np.zeros((33, 47, 3), np.float32)
    assert apply_protocol(image, image, plan.setting.protocol)[1].shape == image.shape
    same = plan_of(["degraded-input"], evaluation={"crop_multiple": 32})
    assert same.setting.protocol == load_protocol("three-task").protocol


def test_several_protocols_score_each_restored_image_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = written(tmp_path / "cut.yaml", PROTOCOL)
    out = tmp_path / "out"
    restored: list[int] = []
    import harness.evaluation.evaluate as module

    plain = module.restore_image

    def counted(*arguments: object) -> object:
        restored.append(1)
        return plain(*arguments)

    monkeypatch.setattr(module, "restore_image", counted)
    both = plan_of(["degraded-input"], out, evaluation={"protocol": f"three-task,{own}"})
    harness.run(both, device="cpu")
    assert len(restored) == sum(map(len, both.test.images_by_column().values()))
    results = harness.load_results(out)
    assert set(results["protocol"]) == {"rgb-float-uniform7", "rgb-cut-off"}
    stems = {benchmark_table(part).stem for part in both.by_protocol}
    assert len(stems) == 2

    alone = plan_of(["degraded-input"], tmp_path / "alone", evaluation={"protocol": str(own)})
    harness.run(alone, device="cpu")
    expected = harness.load_results(tmp_path / "alone").set_index(["column", "image"])["value"]
    found = results[results["protocol"] == "rgb-cut-off"].set_index(["column", "image"])["value"]
    assert found.sort_index().equals(expected.sort_index())
    # What is stored of one protocol is not computed again for two.
    restored.clear()
    harness.run(plan_of(["degraded-input"], out), device="cpu")
    assert not restored


# --- recipes, seeds, deep files -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: smoke\ntrain: null\n", r"'train' must hold a mapping"),
        ("base: smoke\nauxiliary: 5\n", r"'auxiliary' must hold a mapping"),
        ("base: 5\n", "'base' must be the name or file of a recipe"),
        ("base: smoke\ntest: {imags: 2}\n", r"line 2: unknown key 'test.imags'; did you mean"),
        ("steps: 5\nbase: smoke\n", r"did you mean 'train.steps'"),
    ],
)
def test_mistakes_in_a_recipe_are_sentences(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe(str(written(tmp_path / "my.yaml", text)))


def test_a_recipe_never_hides_one_that_ships(tmp_path: Path) -> None:
    path = written(tmp_path / "smoke.yaml", "base: mini\n")
    with pytest.raises(UsageError, match="called like the recipe smoke"):
        load_recipe(str(path))
    based = written(tmp_path / "my recipe.yaml", "base: half.yaml\n")
    written(tmp_path / "half.yaml", "base: smoke\ntest: {images: 1}\n")
    assert load_recipe(str(based)).test.images == 1, "a base lies beside the file that names it"
    assert load_recipe(str(based)).name == "my-recipe"


@pytest.mark.parametrize(
    "text", ["[" * 4000 + "]" * 4000, "\n".join("  " * i + "a:" for i in range(900))]
)
def test_files_that_nest_deeply_are_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "deep.yaml", f"a: {text}" if text.startswith("[") else text)
    with pytest.raises(HarnessError, match=r"deep\.yaml"):
        validate_file(path)


@pytest.mark.parametrize("seeds", ["0-99999999999", "0-1000", "²", "9" * 40, [0, 0], [-1], []])
def test_seeds_that_nobody_means_are_refused(seeds: object) -> None:
    with pytest.raises((UsageError, ValueError), match="seed"):
        harness.plan(methods="restormer", recipe="smoke", seeds=seeds)


def test_the_help_names_every_recipe() -> None:
    shown = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).output
    assert all(name in shown for name in recipe_names())


# --- checking files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.yaml", SETTING, "setting: 'fog-and-noise', 2 tasks"),
        ("b.yaml", PROTOCOL, "protocol: 'cut-off', rule rgb-cut-off"),
        ("mynoise.yaml", DATA_SET, "data set: 'mynoise'"),
        ("c.yaml", "base: smoke\ntrain: {steps: 5}\n", "recipe: 'c', size tiny, 5 steps"),
        ("d.yaml", "methods: [restormer]\nrecipe: smoke\n", "request: methods restormer"),
        (
            "e.yaml",
            "title: t\nbase: cpl\naxes: {k: {label: k, values: [{label: a}, {label: b, "
            "options: {top_k: 2}}]}}\n",
            "study: 't', axes k",
        ),
        ("f.py", DARKER.replace("{kind}", "dk").replace("{factor}", "1"), "degradations dk"),
    ],
)
def test_a_file_is_told_by_its_keys(tmp_path: Path, name: str, text: str, kind: str) -> None:
    assert kind in validate_file(written(tmp_path / name, text))


def test_every_file_that_ships_is_valid() -> None:
    folder = ROOT / "datasets"
    kinds = {"settings": "setting", "sets": "data set", "protocols": "protocol"}
    kinds["out_of_distribution"] = "test set"
    for part, kind in kinds.items():
        for path in sorted((folder / part).glob("*.yaml")):
            assert f"is a {kind}: " in validate_file(path)
    for path in sorted((ROOT / "harness" / "studies").glob("*.yaml")):
        assert "is a study: " in validate_file(path)
    for path in sorted((ROOT / "harness" / "recipes").glob("*.yaml")):
        assert "is a recipe: " in validate_file(path)


def test_the_first_mistake_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.yaml", SETTING.replace("beta:", "bta:"))
    with pytest.raises(UsageError, match=r"a\.yaml, line 10: .*unknown key 'bta'; did you mean"):
        validate_file(path)
    missing = SETTING + "test_sources: [{column: fog, set: sotsoutdoor}]\n"
    with pytest.raises(UsageError, match=r"unknown data set 'sotsoutdoor'; did you mean"):
        validate_file(written(tmp_path / "b.yaml", missing))
    with pytest.raises(UsageError, match="has no key of a known kind"):
        validate_file(written(tmp_path / "c.yaml", "hello: 1\n"))
    result = CliRunner().invoke(app, ["validate", str(path), "--as", "seting"])
    assert "did you mean 'setting'" in str(result.exception)


def test_a_test_set_of_ones_own(tmp_path: Path) -> None:
    content = yaml.safe_load(SETTING)
    for key in ("synthetic", "preprocessing", "protocol"):
        del content[key]
    path = written(tmp_path / "mine.yaml", yaml.safe_dump(content))
    assert "is a test set" in validate_file(path)
    plan = plan_of(["degraded-input"], evaluation={"test_set": str(path)})
    assert benchmark_table(plan).stem.startswith("three-task+fog-and-noise-smoke")


def test_the_page_of_keys_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_keys.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
