"""Settings, recipes, requests, plans, the registry's references, the schedule."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness import registry
from harness.config.errors import UsageError
from harness.config.files import load_setting, setting_names
from harness.config.folders import recipe_names
from harness.config.hashing import canonical_json, spec_hash
from harness.config.parsing import parse, read_yaml
from harness.config.recipe_files import load_recipe
from harness.config.run_specs import Stage, stage_at
from harness.config.settings import Setting
from harness.planning.absolute_paths import with_absolute_paths
from harness.planning.plan_files import load_plan, plan_name, store_plan
from harness.planning.request import RunRequest, parse_seeds
from harness.planning.stages import plan_stages
from harness.registry import catalogue, find
from harness.registry.catalogue import known_methods
from harness.training.schedule import learning_rate
from tests.networks import RESTORERS, TASKS
from tests.plans import plan_of

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", setting_names())
def test_every_setting_parses_and_its_hash_survives_json(name: str) -> None:
    setting = load_setting(name)
    again = Setting.model_validate_json(canonical_json(setting))
    assert spec_hash(again) == spec_hash(setting)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"synthtic": 1}, r"unknown key 'synthtic'; did you mean 'synthetic'"),
        ({"version": "x"}, r"'version'"),
        ({"tasks": []}, r"names task 'denoise15', which the setting does not have"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, edit: dict[str, object], message: str) -> None:
    path = tmp_path / "setting.yaml"
    content = load_setting("three-task").model_dump(mode="json")
    path.write_text(yaml.safe_dump({**content, **edit}))
    with pytest.raises(UsageError, match=message) as caught:
        parse(Setting, read_yaml(path), str(path))
    assert str(path) in str(caught.value)


def test_nested_unknown_key_names_the_nearest() -> None:
    content = load_setting("three-task").model_dump(mode="json")
    content["tasks"][3]["degradation"]["airlite"] = [1, 1]
    with pytest.raises(UsageError, match="did you mean 'airlight'"):
        parse(Setting, content, "setting.yaml")


def test_unreadable_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1")
    for name in ("bad.yaml", "absent.yaml"):
        with pytest.raises(UsageError, match=name):
            read_yaml(tmp_path / name)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_parses_and_plans(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    plan = plan_of([spec.name for spec in RESTORERS], recipe=name)
    needed: set[str] = set()
    for spec in catalogue().specs.values():
        needed |= set(spec.requires)
    assert {c.method.id for c in plan.auxiliary} == needed
    assert len(plan.auxiliary) == len(needed), "each is trained once for all that need it"
    assert len({run.weights_id for run in plan.runs}) == len(plan.runs)


def test_own_recipe_derives_from_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: smoke\ntrain: {steps: 3}\n")
    recipe, smoke = load_recipe(str(path)), load_recipe("smoke")
    assert recipe.name == "mine"
    assert recipe.train.steps == 3
    assert recipe.train.batch == smoke.train.batch
    path.write_text("base: smoke\ntrain: {stps: 3}\n")
    with pytest.raises(UsageError, match=r"unknown key 'train.stps'; did you mean 'steps'"):
        load_recipe(str(path))
    path.write_text(f"base: {path}\n")
    with pytest.raises(UsageError, match="based on itself"):
        load_recipe(str(path))


def test_what_changes_no_number_is_in_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    ids = []
    for text in (
        "base: smoke\n",
        "base: smoke\nruntime: {checkpoint_every_steps: 3, expected_step_s: 9}\n",
        "base: smoke\ntrain: {precision: bf16}\n",
    ):
        path.write_text(text)
        plan = plan_of(["promptir"], tmp_path, recipe=str(path))
        ids.append(plan.runs[-1].weights_id)
    assert ids[0] == ids[1] != ids[2]


def test_paper_schedule_is_the_published_one() -> None:
    """Golden values of PromptIR's scheduler: rate of six steps, first epoch at zero."""
    train = load_recipe("paper").train
    epoch = 4451
    published = {0: 0.0, 1: 2e-4 / 14, 14: 2e-4, 15: 2e-4, 119: 2.49e-5}
    for number, rate in published.items():
        for step in (number * epoch, number * epoch + epoch - 1):
            assert learning_rate(train, step) == pytest.approx(rate, rel=2e-3, abs=1e-12)
    assert train.steps == 120 * epoch
    assert (train.batch, train.patch_px, train.weight_decay) == (32, 128, 0.01)


@given(step=st.integers(0, 10**6))
def test_rate_stays_between_zero_and_its_peak(step: int) -> None:
    for name in recipe_names():
        train = load_recipe(name).train
        assert 0 <= learning_rate(train, step) <= train.lr * (1 + 1e-12)


# --- references to methods ------------------------------------------------------------


def test_references_are_canonical() -> None:
    assert registry.find("promptir+cpl").id == "cpl"
    one, two = (registry.find(r) for r in ("cpl:top_k=2:prompts=7", "cpl:prompts=7:top_k=2"))
    assert one.id == two.id == "cpl:prompts=7:top_k=2"


def resolve(reference: str, size: str = "tiny") -> object:
    return registry.resolve_options(registry.find(reference), size, TASKS, micro_batch=5)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("promptr", "did you mean 'promptir'"),
        ("cpl:topk=2", "has no option 'topk'; did you mean 'top_k'"),
        ("cpl:top_k=many", "option top_k"),
        ("cpl:top_k", "is not option=value"),
        ("cpl:cpr_form=best", "option cpr_form"),
        ("cpl:top_k=none", "selects all 5"),
        ("cpr:cpr_negatives=unselected", "selects all 5"),
        ("task-classifier", "explicit"),
    ],
)
def test_bad_references_are_refused_by_name(reference: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(reference)


def test_options_survive_json() -> None:
    for spec in registry.catalogue().specs.values():
        options = registry.parse_options(spec, {**spec.defaults, **spec.sizes.get("tiny", {})})
        stored = registry.options_as_json(options)
        assert registry.parse_options(spec, stored) == options


class _Point:
    def __init__(self, name: str, value: object) -> None:
        self.name, self.value, self._value = name, f"plugin:{name}", value

    def load(self) -> object:
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


def test_plugins_appear_and_a_broken_one_affects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = registry.catalogue().specs["restormer"]
    points = [
        _Point("good", spec),
        _Point("failing", ImportError("no module named x")),
        _Point("other", "text"),
        _Point("cpl", spec),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)
    known_methods.cache_clear()
    try:
        known = registry.catalogue()
        assert known.specs["good"] is spec
        assert known.specs["cpl"].label == "CPL"
        assert set(known.broken) == {"failing", "other", "cpl"}
        with pytest.raises(UsageError, match="no module named x"):
            registry.find("failing")
    finally:
        known_methods.cache_clear()


@pytest.mark.parametrize(("text", "seeds"), [("0", (0,)), ("0-2", (0, 1, 2)), ("3,1", (3, 1))])
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "1,1", "-1", "3-1"])
def test_bad_seeds(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


# --- the house ------------------------------------------------------------------------


def test_datasets_holds_no_python() -> None:
    found = [p for p in (ROOT / "datasets").rglob("*") if p.suffix in {".py", ".pyc"}]
    assert found == [], "a Python package `datasets` would shadow Hugging Face's"


def staged(reference: str, steps: int = 12) -> tuple[Stage, ...]:
    train = load_recipe("smoke").train.model_copy(update={"steps": steps, "decay_steps": steps})
    setting = load_setting("three-task")
    return plan_stages(find(reference), setting, train, setting.task_names)


def test_a_method_of_one_stage_keeps_the_recipes_lengths() -> None:
    train = load_recipe("smoke").train
    setting = load_setting("three-task")
    (stage,) = plan_stages(find("promptir"), setting, train, setting.task_names)
    assert (stage.name, stage.steps) == ("", train.steps)
    assert (stage.warmup_steps, stage.decay_steps) == (train.warmup_steps, train.decay_steps)
    assert stage.tasks == load_setting("three-task").task_names


def test_sequential_learning_adds_one_family_a_stage_and_ends_with_all() -> None:
    stages = staged("promptir@sequential", 1000)
    assert [stage.steps for stage in stages] == [300, 300, 400]
    noise = ("denoise15", "denoise25", "denoise50")
    assert [stage.tasks for stage in stages] == [
        noise,
        (*noise, "dehaze"),
        (*noise, "dehaze", "derain"),
    ]
    assert [stage.decay_steps for stage in stages] == [300, 300, 400]


@given(steps=st.integers(3, 400))
def test_stages_use_all_steps(steps: int) -> None:
    stages = staged("cpl@sequential", steps)
    assert sum(stage.steps for stage in stages) == steps
    placed = [stage_at(stages, step) for step in range(steps)]
    assert [p.number for p in placed] == sorted(p.number for p in placed)
    assert {p.number for p in placed} == {0, 1, 2}
    with pytest.raises(ValueError, match="beyond"):
        stage_at(stages, steps)


def test_what_cannot_be_staged_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="trained in 3 stages, and the recipe has 2 steps"):
        staged("promptir@sequential", 2)
    with pytest.raises(UsageError, match=r"'@sequentiel' .* did you mean 'sequential'"):
        find("promptir@sequentiel")
    assert find("cpl@sequential:top_k=2").id == "cpl@sequential:top_k=2"
    assert find("cpl@sequential:top_k=2").label == "CPL (sequential):top_k=2"


# --- requests and stored plans ----------------------------------------------------------


def test_a_request_reads_texts_and_lists_alike() -> None:
    texts = RunRequest.model_validate(
        {"methods": "cpl,promptir", "seeds": "0-2", "metrics": "gmsd"}
    )
    lists = RunRequest(methods=("cpl", "promptir"), seeds=(0, 1, 2), metrics=("gmsd",))
    assert texts == lists
    assert RunRequest.model_validate_json(lists.model_dump_json()) == lists


def test_a_stored_plan_has_the_same_runs(tmp_path: Path) -> None:
    plan = plan_of(["cpl", "explicit"], tmp_path, seeds=(0, 1))
    store_plan(plan, tmp_path / "plan.json")
    again = load_plan(tmp_path / "plan.json")
    assert [run.id for run in again.all_runs] == [run.id for run in plan.all_runs]
    assert again.run(plan.runs[-1].id).train == plan.runs[-1].train
    with pytest.raises(UsageError, match="the plan has no run 'cpl-s0'; known are cpl-s0-"):
        plan.run("cpl-s0")


def test_a_stored_plan_fills_the_same_folder_from_wherever_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
    (here / "short.yaml").write_text("base: smoke\ntrain: {steps: 3}\n")
    monkeypatch.chdir(here)
    plan = plan_of(["promptir"], Path("runs"), recipe="short.yaml")
    store_plan(plan, here / "plan.json")
    monkeypatch.chdir(elsewhere)
    again = load_plan(here / "plan.json")
    assert [run.id for run in again.all_runs] == [run.id for run in plan.all_runs]
    assert again.runs[-1].folder.path == here / "runs" / plan.runs[-1].id


PATHS: dict[str, dict[str, Any]] = {
    "setting": {"setting": "{}own.yaml"},
    "recipe": {"recipe": "{}own.yaml"},
    "include": {"include": ("{}mine", "{}more")},
    "plugins": {"plugins": ("{}own.py",)},
    "root": {"data": {"root": "{}sets"}},
    "clean images": {"data": {"clean_images": {"test": "{}CBSD68"}}},
    "protocol": {"evaluation": {"protocol": ("{}y.yaml", "{}rgb.yml")}},
    "test set": {"evaluation": {"test_set": "{}own.yaml"}},
    "checkpoint": {"checkpoint": {"file": "{}a.pth", "required": {"task-classifier": "{}b.pth"}}},
    "file to start from": {"init_from": "{}weights.pth"},
    "run to start from": {"init_from": "{}run"},
}


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("written", ["", "./", "../here/", "~/"])
def test_every_path_of_a_stored_request_is_whole(
    kind: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "run").mkdir(parents=True)
    for name in ("weights.pth", "run/weights.safetensors"):
        (here / name).touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))
    whole = {"~/": f"{here}/", "./": f"{here}/"}.get(written, f"{here}/{written}")
    asked, found = (
        RunRequest.model_validate_json(json.dumps(PATHS[kind]).replace("{}", text))
        for text in (written, whole)
    )
    expected = found.model_copy(update={"out": here / "results/runs"})
    assert with_absolute_paths(asked) == expected
    assert with_absolute_paths(expected) == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"setting": "three-task", "recipe": "mini", "init_from": "cpl-s0-0123"},
        {"data": {"clean_images": {"train": "foolbox"}, "train_sets": {"denoise": "wed"}}},
        {"evaluation": {"protocol": "basicsr-y", "test_set": "ood-noise"}},
        {"methods": "mioir-ep:prompt_maps=maps.npy"},
        {"checkpoint": {"file": "a.pth", "method": "spandrel"}},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_names_and_what_runs_are_called_by_stay_as_they_are(asked: dict[str, Any]) -> None:
    request = RunRequest.model_validate({**asked, "out": "/runs"})
    assert with_absolute_paths(request) == request


def test_plans_of_two_folders_have_two_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs in a queue are called by them: the same command in two projects is two plans."""
    names = []
    for project in ("one", "two"):
        (tmp_path / project).mkdir()
        monkeypatch.chdir(tmp_path / project)
        names.append(plan_name(plan_of(["promptir"], Path("runs"))))
        whole = plan_of(["promptir"], tmp_path / project / "runs")
        assert plan_name(whole) == names[-1], "the same folder is the same plan"
    assert len(set(names)) == 2
    (tmp_path / "link").symlink_to(tmp_path / "two")
    assert plan_name(plan_of(["promptir"], tmp_path / "link" / "runs")) == names[1]


def test_a_plan_of_other_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    store_plan(plan_of(["cpl"], tmp_path), path)
    path.write_text(path.read_text().replace("cpl-s0-", "cpl-s0-0"))
    with pytest.raises(UsageError, match="was made with other code or data"):
        load_plan(path)
    path.write_text("{}")
    with pytest.raises(UsageError, match="holds no plan"):
        load_plan(path)


def test_only_what_a_run_uses_is_in_its_identity() -> None:
    """A new version of one degradation renames the runs that use it, and no others."""
    versions = {
        name: set(plan_of(["promptir"], setting=name).runs[-1].train.data.degradation_versions)
        for name in ("three-task", "seven-task")
    }
    assert versions["three-task"] == {"noise", "haze", "rain", "dead-leaves"}
    assert "snow" not in versions["seven-task"]
