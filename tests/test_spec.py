"""Specs, cards, recipes, the registry's references, the schedule."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness import registry
from harness.config.errors import UsageError
from harness.config.files import load_setting, setting_names
from harness.config.hashing import canonical_json, spec_hash
from harness.config.parsing import parse, read_yaml
from harness.config.recipe_files import load_recipe, recipe_names
from harness.config.run_specs import Stage, stage_at
from harness.config.settings import Setting
from harness.method import CheckContext
from harness.planning.plan import make_plan, parse_seeds
from harness.planning.stages import plan_stages
from harness.registry import catalogue, find
from harness.training.schedule import learning_rate
from tests.networks import RESTORERS, TASKS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", setting_names())
def test_every_card_parses_and_its_hash_survives_json(name: str) -> None:
    setting = load_setting(name)
    again = Setting.model_validate_json(canonical_json(setting))
    assert spec_hash(again) == spec_hash(setting)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"twn": 1}, r"unknown key 'twn'; did you mean 'twin'"),
        ({"version": "x"}, r"'version'"),
        ({"tasks": []}, r"names task 'denoise15', which is not in the card"),
    ],
)
def test_bad_cards_are_named(tmp_path: Path, edit: dict[str, object], message: str) -> None:
    path = tmp_path / "card.yaml"
    content = load_setting("three-task").model_dump(mode="json")
    path.write_text(yaml.safe_dump({**content, **edit}))
    with pytest.raises(UsageError, match=message) as caught:
        parse(Setting, read_yaml(path), str(path))
    assert str(path) in str(caught.value)


def test_nested_unknown_key_names_the_nearest() -> None:
    content = load_setting("three-task").model_dump(mode="json")
    content["tasks"][3]["degradation"]["airlite"] = [1, 1]
    with pytest.raises(UsageError, match="did you mean 'airlight'"):
        parse(Setting, content, "card")


def test_unreadable_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1")
    for name in ("bad.yaml", "absent.yaml"):
        with pytest.raises(UsageError, match=name):
            read_yaml(tmp_path / name)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_parses_and_plans(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    plan = make_plan([card.name for card in RESTORERS], "three-task", name, [0], [], Path("unused"))
    needed = {name for card in catalogue().specs.values() for name in card.requires}
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
        plan = make_plan(["promptir"], "three-task", str(path), [0], [], tmp_path)
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
    return registry.resolve_options(registry.find(reference), size, CheckContext(TASKS, 5))


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
    for card in registry.catalogue().specs.values():
        options = registry.parse_options(card, {**card.defaults, **card.sizes.get("tiny", {})})
        stored = registry.options_as_json(options)
        assert registry.parse_options(card, stored) == options


class _Point:
    def __init__(self, name: str, value: object) -> None:
        self.name, self.value, self._value = name, f"plugin:{name}", value

    def load(self) -> object:
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


def test_plugins_appear_and_a_broken_one_spoils_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    card = registry.catalogue().specs["restormer"]
    points = [
        _Point("good", card),
        _Point("failing", ImportError("no module named x")),
        _Point("other", "text"),
        _Point("cpl", card),
    ]
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: points)
    registry.catalogue.cache_clear()
    try:
        known = registry.catalogue()
        assert known.specs["good"] is card
        assert known.specs["cpl"].label == "CPL"
        assert set(known.broken) == {"failing", "other", "cpl"}
        with pytest.raises(UsageError, match="no module named x"):
            registry.find("failing")
    finally:
        registry.catalogue.cache_clear()


@pytest.mark.parametrize(("text", "seeds"), [("0", (0,)), ("0-2", (0, 1, 2)), ("3,1", (3, 1))])
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "1,1", "-1", "3-1"])
def test_bad_seeds(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds"):
        parse_seeds(text)


# --- the house ------------------------------------------------------------------------


def test_cards_folder_holds_no_python() -> None:
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
def test_stages_give_out_all_steps(steps: int) -> None:
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
