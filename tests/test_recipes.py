"""The published recipe of every setting, in numbers, and running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from harness.config.errors import UsageError
from harness.config.files import load_setting, setting_names
from harness.config.hashing import spec_hash
from harness.config.recipe_files import load_recipe
from harness.config.recipes import Optimisation, Recipe
from harness.config.run_specs import SyntheticTrainingData, stage_at
from harness.evaluation.validation import Validation
from harness.execution.networks import build
from harness.execution.progress import PlainProgress
from harness.training.job import Job, Machine
from harness.training.loop import train
from harness.training.schedule import learning_rate
from tests.plans import plan_of

# Step -> rate. With warm-up lr e/14 and lr (1 + cos(pi (e - 15)/(H - 15)))/2 of the epoch e; of
# restarts by 1e-7 + (lr - 1e-7)(1 + cos(pi s/P))/2 of the step s within its period P.
GOLDEN: dict[str, dict[int, float]] = {
    # Epochs of 4,451 steps: 0, 1, 14, 15, 75, 119 of a cosine that ends at 150.
    "three-task": {
        0: 0.0,
        4451: 1.42857e-5,
        14 * 4451: 2.0e-4,
        15 * 4451: 2.0e-4,
        75 * 4451: 1.173648e-4,
        534119: 2.49120e-5,
    },
    # Epochs of 5,082 steps; the cosine would end at 180.
    "five-task": {
        0: 0.0,
        5082: 1.42857e-5,
        15 * 5082: 2.0e-4,
        70 * 5082: 1.5e-4,
        125 * 5082: 5.0e-5,
        762299: 1.69192e-5,
    },
    "seven-task": {
        0: 2.0e-4,
        25000: 1.707253e-4,
        50000: 1.0005e-4,
        99999: 1.0e-7,
        100000: 2.0e-4,
        950000: 1.0005e-4,
    },
    # MiOIR's, as seven-task's.
    "union": {0: 2.0e-4, 50000: 1.0005e-4, 99999: 1.0e-7, 100000: 2.0e-4},
    "all-weather": {
        0: 3.0e-4,
        91999: 3.0e-4,
        92000: 3.0e-4,
        144000: 2.562140e-4,
        196000: 1.505e-4,
        299999: 1.0e-6,
    },
    # Epochs of 813 steps.
    "composite": {
        0: 0.0,
        813: 1.42857e-5,
        15 * 813: 2.0e-4,
        60 * 813: 1.5e-4,
        105 * 813: 5.0e-5,
        97559: 2.49120e-5,
    },
    "weatherbench": {
        0: 2.0e-4,
        62500: 1.707253e-4,
        125000: 1.0005e-4,
        249999: 1.0e-7,
        250000: 2.0e-4,
        875000: 1.0005e-4,
    },
}
# Steps, global batch, patch, betas, weight decay, clipping, symmetries, sampling.
FIELDS: dict[str, tuple[Any, ...]] = {
    "three-task": (534120, 32, 128, (0.9, 0.999), 0.01, None, "dihedral-without-identity"),
    "five-task": (762300, 32, 128, (0.9, 0.999), 0.01, None, "dihedral-without-identity"),
    "seven-task": (1000000, 8, 128, (0.9, 0.99), 0.0, None, "dihedral"),
    "union": (1000000, 8, 128, (0.9, 0.99), 0.0, None, "dihedral"),
    "all-weather": (300000, 32, 128, (0.9, 0.999), 1e-4, 0.01, "dihedral"),
    "composite": (97560, 32, 128, (0.9, 0.999), 0.01, None, "dihedral-without-identity"),
    "weatherbench": (1000000, 8, 128, (0.9, 0.9), 0.0, None, "dihedral"),
}
# Shares of the families, in the order of the setting, in percent.
SHARES: dict[str, list[float]] = {
    "three-task": [32.504, 50.646, 16.850],
    "five-task": [28.464, 44.351, 14.756, 6.465, 5.964],
    "seven-task": [100 / 7] * 7,
    "union": [100 / 12] * 12,
    "all-weather": [49.809, 45.658, 4.527],
    "composite": [100 / 11] * 11,
    "weatherbench": [100 / 3] * 3,
}


def test_every_setting_has_its_own() -> None:
    """But FoundIR's and WeatherStream's trainings, which no file here follows."""
    without = {"foundir", "weatherstream"}
    assert set(GOLDEN) == set(FIELDS) == set(SHARES) == set(setting_names()) - without
    for name in without:
        assert load_recipe("paper", name).train == load_recipe("paper", "three-task").train


@pytest.mark.parametrize("setting", GOLDEN)
def test_the_learning_rate_is_the_published_one(setting: str) -> None:
    recipe = load_recipe("paper", setting)
    assert recipe.name == "paper"
    for step, rate in GOLDEN[setting].items():
        found = learning_rate(recipe.train, step)
        assert found == pytest.approx(rate, rel=1e-4, abs=1e-9), step


@pytest.mark.parametrize("setting", FIELDS)
def test_batch_optimiser_and_augmentation_are_the_published_ones(setting: str) -> None:
    found = load_recipe("paper", setting).train
    assert (
        found.steps,
        found.batch,
        found.patch_px,
        found.betas,
        found.weight_decay,
        found.grad_clip_norm,
        found.augmentation,
    ) == FIELDS[setting]
    assert (found.task_sampling, found.scored_checkpoint) == ("shares", "last")
    assert found.ema_decay is None


@pytest.mark.parametrize("setting", SHARES)
def test_shares_are_those_of_the_published_lists(setting: str) -> None:
    found_setting = load_setting(setting)
    total = sum(task.share for task in found_setting.tasks)
    families = list(dict.fromkeys(task.family for task in found_setting.tasks))
    found = [
        100 * sum(task.share for task in found_setting.tasks if task.family == family) / total
        for family in families
    ]
    assert found == pytest.approx(SHARES[setting], abs=0.01)


EXAMPLES = Path(__file__).parents[1] / "examples" / "recipes"
# Setting, steps, batch, patch, symmetries, and rates: Adam is AdamW without decay.
OWN_RECIPES: dict[str, tuple[str, tuple[Any, ...], dict[int, float]]] = {
    "transweather": (
        "all-weather",
        (200_800, 18, 256, "none"),
        {0: 2e-4, 100_399: 2e-4, 100_400: 1e-4, 200_799: 1e-4},
    ),
    "onerestore": (
        "composite",
        (851_760, 4, 256, "dihedral"),
        {0: 1e-4, 212_939: 1e-4, 212_940: 5e-5, 425_880: 2.5e-5, 851_759: 1.25e-5},
    ),
}


@pytest.mark.parametrize("name", OWN_RECIPES)
def test_recipes_of_single_methods_are_the_published_ones(name: str) -> None:
    setting, fields, rates = OWN_RECIPES[name]
    for of in (setting, "three-task", "seven-task"):
        recipe = load_recipe(str(EXAMPLES / f"{name}.yaml"), of)
        found = recipe.train
        assert (found.steps, found.batch, found.patch_px, found.augmentation) == fields
        assert (found.betas, found.weight_decay, found.grad_clip_norm) == ((0.9, 0.999), 0, None)
        assert {step: learning_rate(found, step) for step in rates} == pytest.approx(rates)
        assert (recipe.size, found.task_sampling) == ("full", "shares")


def test_halving_follows_the_length_and_goes_with_no_other_schedule(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    base = f"base: {EXAMPLES / 'transweather.yaml'}\nsummary: x\n"
    path.write_text(base + "train: {steps: 2008}\n")
    assert load_recipe(str(path), "all-weather").train.lr_halving_steps == 1004
    path.write_text(base + "train: {steps: 2008, lr_min: 1.5e-4}\n")
    assert learning_rate(load_recipe(str(path), "all-weather").train, 1500) == 1.5e-4
    for other in ("warmup_steps: 5", "lr_constant_steps: 5", "lr_restart_steps: 5"):
        path.write_text(base + f"train: {{{other}}}\n")
        with pytest.raises(UsageError, match="lr_halving_steps goes with none of"):
            load_recipe(str(path), "all-weather")


def test_sequential_stages_have_miois_lengths_and_start_anew() -> None:
    plan = plan_of(["promptir@sequential"], setting="seven-task", recipe="paper")
    spec = plan.runs[-1].train
    assert spec.optimisation is not None
    assert [stage.steps for stage in spec.stages] == [100_000] * 6 + [400_000]
    for first in (0, 100_000, 600_000):
        placed = stage_at(spec.stages, first)
        assert learning_rate(spec.optimisation, first - placed.first_step, placed.stage) == 2e-4


SHORT = {"steps": 2, "patch_px": 64}


def quick(folder: Path) -> str:
    """Write a recipe that is the published one but for size, length and patch."""
    path = folder / "two-steps.yaml"
    changes = {"base": "paper", "summary": "two steps", "size": "tiny", "train": SHORT}
    path.write_text(yaml.safe_dump(changes))
    return str(path)


SCHEDULE = (
    "warmup_steps",
    "decay_steps",
    "lr_hold_steps",
    "lr_constant_steps",
    "lr_restart_steps",
)


@pytest.mark.parametrize("setting", GOLDEN)
def test_two_steps_of_the_published_recipe_run(setting: str, tmp_path: Path) -> None:
    plan = plan_of(["restormer"], tmp_path, setting=setting, recipe=quick(tmp_path))
    run = plan.runs[-1]
    spec = run.train
    assert spec.optimisation is not None
    assert isinstance(spec.data, SyntheticTrainingData)
    published = load_recipe("paper", setting).train
    schedule = {name: getattr(spec.optimisation, name) for name in SCHEDULE}
    assert spec.optimisation == published.model_copy(update={**SHORT, **schedule})
    method = build(run.method.spec, spec, {})
    before = [p.detach().clone() for p in method.parameters()]
    run.folder.path.mkdir(parents=True)
    job = Job(
        spec=spec,
        stream=plan.source.stream(spec, 1),
        validation=Validation(plan.source.validation(spec), spec.tasks, False),
        folder=run.folder,
        runtime=plan.recipe.runtime,
        machine=Machine("cpu", 1, 0),
    )
    record = train(method, job, PlainProgress("test"), lambda: False)
    assert record["steps"] == 2
    moved = any(not torch.equal(p, q) for p, q in zip(method.parameters(), before, strict=True))
    # Where the first epoch runs at rate 0, two steps change nothing: published as it is.
    assert moved == (learning_rate(spec.optimisation, 0) > 0)


def test_fields_that_came_later_change_no_hash_until_they_are_used() -> None:
    mini = load_recipe("mini").train
    assert "lr_restart_steps" not in mini.model_dump()
    used = mini.model_copy(update={"warmup_steps": 0, "lr_restart_steps": 5})
    assert used.model_dump()["lr_restart_steps"] == 5
    assert spec_hash(used) != spec_hash(mini)
    assert Optimisation.model_validate(mini.model_dump(mode="json")) == mini


def test_a_restart_after_warm_up_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: mini\nsummary: x\ntrain: {lr_restart_steps: 100}\n")
    with pytest.raises(UsageError, match="goes with neither warmup_steps"):
        load_recipe(str(path))


def test_a_recipe_of_ones_own_builds_on_that_of_its_setting(tmp_path: Path) -> None:
    path = quick(tmp_path)
    assert load_recipe(path, "seven-task").train.batch == 8
    assert load_recipe(path, "three-task").train.batch == 32
    assert load_recipe(path, "a-setting-of-my-own").train.batch == 32
    assert load_recipe(path, "seven-task").name == "two-steps"


def recipe_with(folder: Path, text: str) -> Recipe:
    path = folder / "mine.yaml"
    path.write_text(f"summary: x\n{text}\n")
    return load_recipe(str(path))


def test_a_schedule_follows_the_length_unless_it_is_set(tmp_path: Path) -> None:
    longer = recipe_with(tmp_path, "base: smoke\ntrain: {steps: 200}")
    assert (longer.train.decay_steps, longer.train.warmup_steps) == (200, 33)
    rate = [learning_rate(longer.train, step) for step in (33, 100, 199)]
    assert rate[0] == longer.train.lr
    assert rate[1] > longer.train.lr / 2 > rate[2]
    # The training of auxiliary networks has a length of its own, which did not change.
    assert longer.auxiliary == load_recipe("smoke").auxiliary
    both = recipe_with(tmp_path, "base: mini\nauxiliary: {steps: 30}\ntrain: {decay_steps: 900}")
    assert (both.auxiliary.decay_steps, both.auxiliary.warmup_steps) == (30, 2)
    assert (both.train.decay_steps, both.train.warmup_steps) == (900, 17)
    paper = recipe_with(tmp_path, "base: paper\ntrain: {steps: 1200}").train
    assert (paper.warmup_steps, paper.decay_steps, paper.lr_hold_steps) == (150, 1500, 10)


def test_a_length_is_followed_through_several_bases(tmp_path: Path) -> None:
    first = tmp_path / "first.yaml"
    first.write_text("base: mini\nsummary: x\ntrain: {steps: 1200, warmup_steps: 10}\n")
    second = recipe_with(tmp_path, f"base: {first}\ntrain: {{steps: 300}}")
    assert (second.train.decay_steps, second.train.warmup_steps) == (300, 3)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("train: {steps: 200, decay_steps: 12}", r"train: decay_steps 12 .* training of 200 steps"),
        ("train: {steps: 20, warmup_steps: 20}", r"train: warmup_steps 20 .* none of the 20"),
        ("auxiliary: {decay_steps: 3}", r"auxiliary: decay_steps 3 .* training of 20 steps"),
        ("train: null", r"mine.yaml: 'train' must hold a mapping"),
        ("train: {steps: many}", r"train.steps"),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        recipe_with(tmp_path, f"base: smoke\n{text}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  steps: 12\ntrain:\n  steps: 24\n", "line 4 .* key 'train' occurs twice"),
        ("train:\n  steps: 010\n", "line 3 .* '010' has leading zeros"),
        ("train: {lr: .nan}\n", "line 2.*finite"),
        ("train: {lr: .inf}\n", "line 2.*finite"),
        ("steps: 20\n", "unknown key 'steps'; did you mean 'train.steps'"),
    ],
)
def test_what_yaml_would_read_otherwise_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("base: smoke\n" + text)
    with pytest.raises(UsageError, match=message):
        load_recipe(str(path))
