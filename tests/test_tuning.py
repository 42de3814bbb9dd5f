"""Searching options and training values: points, trials, tables, and the file of the winners."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import harness
from harness.api.results import check_table
from harness.api.tuning import plan_tuning, tuning_outcome
from harness.config.errors import UsageError
from harness.config.recipe_files import lengthened, load_recipe
from harness.method import CheckContext
from harness.method.search import Choices, Interval
from harness.planning.budget import Budget
from harness.planning.plan_files import load_plan, plan_name, store_plan
from harness.planning.request import RunRequest
from harness.planning.search_space import point, training_ranges
from harness.planning.tuning import Tuning, make_tuning
from harness.registry import catalogue, find, resolve_options
from harness.reporting.tuning_summary import tuning_summary
from harness.reporting.tuning_table import check_tuning_names, tuning_tables
from harness.reporting.wording import check_wording
from tests.conftest import Run
from tests.plans import QUICK_RECIPE

PLUGIN = """
from dataclasses import dataclass
from harness.method import MethodSpec
from harness.method.search import Choices, Interval

@dataclass(frozen=True, kw_only=True)
class Options:
    width: int = 8
    gain: float = 1.0

SPEC = MethodSpec(
    name="searched", label="Searched", summary="", prompting="none", objective="L1", source="",
    build="searched:build", options=Options,
    search={"width": Choices((8, 16)), "gain": Interval(0.1, 10.0, log=True)},
)

def build(context):
    raise NotImplementedError
"""


def tuning_of(methods: str, out: Path = Path("unused"), trials: int = 3, **values: Any) -> Tuning:
    fields = {name: values.pop(name) for name in ("steps", "seed", "fixed") if name in values}
    content = {"recipe": "smoke", "methods": methods, "out": out, **values}
    return make_tuning(RunRequest.model_validate(content), Budget(trials=trials, **fields))


def run_ids(tuning: Tuning) -> list[str]:
    return [run.id for run in tuning.plan.runs]


def store_validation(tuning: Tuning, values_db: dict[str, float]) -> None:
    """Store what a training of each run would, by method id and trial."""
    for search in tuning.searches:
        for trial in search.trials:
            for run in trial.runs:
                value = values_db.get(f"{search.method.id} {trial.number}")
                if value is None:
                    continue
                run.folder.path.mkdir(parents=True)
                content = {"validation_per_task": {"a": value - 1, "b": value + 1}}
                run.folder.provenance.write_text(json.dumps(content))
                run.folder.weights.write_bytes(b"weights")


def test_points_are_a_function_of_their_number_alone() -> None:
    ranges = {"lr": Interval(1e-4, 1e-2, log=True), "patch_px": Choices((32, 48, 64))}
    both = {**ranges, "top_k": Interval(1, 3)}
    for number in (1, 7, 100):
        found = point(ranges, 0, number)
        assert found == point(ranges, 0, number)
        assert found.items() <= point(both, 0, number).items(), "more options change no other"
    assert point(ranges, 0, 1) != point(ranges, 1, 1)


def test_points_fill_the_space_evenly() -> None:
    ranges = {"a": Interval(0.0, 1.0), "b": Choices((1, 2, 3)), "c": Interval(0, 4)}
    points = [point(ranges, 5, number) for number in range(1, 31)]
    quarters = [sum(low <= p["a"] < low + 0.25 for p in points) for low in (0, 0.25, 0.5, 0.75)]
    assert min(quarters) >= 7
    assert {p["b"] for p in points} == {1, 2, 3}
    assert [sum(p["b"] == value for p in points) for value in (1, 2, 3)] == [10, 10, 10]
    assert {p["c"] for p in points} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("place", [0.0, 0.3, 0.999999])
def test_an_interval_stays_between_its_ends(place: float) -> None:
    for low, high, log in ((1e-5, 1e-1, True), (0.123456, 0.2, False), (1, 4, False)):
        value = Interval(low, high, log).at(place)
        assert isinstance(value, int | float)
        assert low <= value <= high
        assert isinstance(value, type(low))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Interval(1, 1),
        lambda: Interval(0, 1, log=True),
        lambda: Choices((1,)),
        lambda: Choices(("a", "a")),
    ],
)
def test_a_range_that_holds_nothing_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="nothing to search"):
        make()


def test_ranges_of_the_training_follow_the_recipe() -> None:
    train = load_recipe("mini").train
    ranges = training_ranges(train)
    assert ranges["lr"] == Interval(train.lr / 4, train.lr * 4, log=True)
    assert ranges["patch_px"] == Choices((32, 64, 96))
    assert ranges["warmup_steps"] == Interval(0, 120)
    restarts = train.model_copy(update={"lr_restart_steps": 100, "warmup_steps": 0})
    assert "warmup_steps" not in training_ranges(restarts)


def test_another_length_takes_the_schedule_along() -> None:
    train = lengthened(load_recipe("mini").train, 60)
    assert (train.steps, train.warmup_steps, train.decay_steps) == (60, 2, 60)


def test_every_search_range_names_an_option_and_holds_valid_values() -> None:
    found = catalogue()
    context = CheckContext(("a", "b"), 4, 100)
    for spec in found.specs.values():
        for name, searched in spec.search.items():
            for place in (0.0, 0.5, 0.99):
                value = searched.at(place)
                method = find(f"{spec.name}:{name}={'none' if value is None else value}")
                problem = ""
                try:
                    resolve_options(method, "tiny", context.tasks, micro_batch=4, steps=100)
                except UsageError as error:  # options may contradict each other; none is unknown
                    problem = str(error)
                assert "has no option" not in problem
                assert "Input should be" not in problem


def test_every_method_gets_the_same_budget_and_the_same_shared_values() -> None:
    tuning = tuning_of("promptir,restormer,cpl", trials=4)
    assert [len(search.trials) for search in tuning.searches] == [4, 4, 4]
    first, second, _ = tuning.searches
    for one, other in zip(first.trials, second.trials, strict=True):
        for name in ("lr", "weight_decay", "patch_px", "warmup_steps"):
            assert one.values.get(name) == other.values.get(name)
    for run in tuning.plan.runs:
        assert run.score is None, "no trial is scored on test images"
        assert run.train.seed == 0
        optimisation = run.train.optimisation
        assert optimisation is not None
        assert (optimisation.steps, optimisation.batch) == (12, 5)
    assert len(set(run_ids(tuning))) == 12


def test_trial_0_is_the_ordinary_run(tmp_path: Path) -> None:
    tuning = tuning_of("promptir", tmp_path)
    plan = harness.plan(methods="promptir", recipe="smoke", out=tmp_path)
    assert tuning.plan.runs[0].id == plan.runs[-1].id
    assert tuning.searches[0].trials[0].training == {}
    assert len({run.weights_id for run in tuning.plan.runs}) == 3


def test_a_longer_search_begins_with_the_trials_of_a_shorter_one() -> None:
    few, many = tuning_of("cpl", trials=3), tuning_of("cpl", trials=6)
    assert run_ids(many)[:3] == run_ids(few)
    assert run_ids(tuning_of("cpl", trials=3, seed=1))[1:] != run_ids(few)[1:]


def test_the_last_rate_follows_the_rate_and_steps_take_the_schedule_along() -> None:
    tuning = tuning_of("restormer", trials=4, steps=40)
    for trial in tuning.searches[0].trials:
        train = trial.runs[0].train.optimisation
        assert train is not None
        assert train.steps == train.decay_steps == 40
        assert train.lr_min / train.lr == pytest.approx(0.01, rel=0.02)
        assert trial.training["steps"] == 40


def test_what_is_fixed_is_not_searched() -> None:
    tuning = tuning_of("promptir:prompt_init=uniform", fixed=("patch_px", "weight_decay"))
    assert list(tuning.searches[0].ranges) == ["lr", "warmup_steps"]
    for run in tuning.plan.runs:
        assert run.train.options["prompt_init"] == "uniform"


def test_options_that_contradict_each_other_are_no_trials() -> None:
    tuning = tuning_of("cpl", trials=30)
    assert len(tuning.plan.runs) == 30


@pytest.mark.parametrize(
    ("methods", "values", "message"),
    [
        ("degraded-input", {}, "degraded-input is not trained, so there is nothing to tune"),
        ("promptir", {"fixed": ("patch",)}, "--fix patch: it is not searched; did you mean"),
        ("promptir", {"evaluation": {"test_set": "ood-noise"}}, "leave test_set, protocol"),
        ("promptir", {"training": {"promptir": {"lr": 0.1}}}, "leave checkpoint and training out"),
        ("promptir", {"steps": 2, "fixed": ()}, None),
        (
            "restormer",
            {"fixed": ("lr", "weight_decay", "warmup_steps"), "trials": 9},
            "only . of 9 trials can be made",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_first(
    methods: str, values: dict[str, Any], message: str | None
) -> None:
    if message is None:
        assert tuning_of(methods, **values).plan.runs
        return
    with pytest.raises(UsageError, match=message):
        tuning_of(methods, **values)


def test_a_plug_in_declares_its_own_ranges(tmp_path: Path) -> None:
    file = tmp_path / "searched.py"
    file.write_text(PLUGIN)
    tuning = tuning_of("searched", plugins=[file])
    assert list(tuning.searches[0].ranges)[-2:] == ["width", "gain"]
    assert tuning.searches[0].trials[1].method.id.startswith("searched:gain=")


def test_the_table_shows_the_best_trial_first(tmp_path: Path) -> None:
    tuning = tuning_of("restormer,promptir", tmp_path)
    values = {"restormer 0": 24.0, "restormer 1": 25.5, "restormer 2": 25.5, "promptir 1": 23.0}
    store_validation(tuning, values)
    failed = {tuning.searches[1].trials[2].runs[0].id: "the loss is not finite"}
    restormer, promptir = tuning_tables(tuning, failed)
    assert [result.trial.number for result in restormer.results] == [1, 2, 0]
    assert restormer.best is restormer.results[0]
    assert [result.validation_db for result in promptir.results] == [23.0, None, None]
    text = " ".join(promptir.to_text(width=100).split())
    assert "failed" in text
    assert "--" in text
    assert "3 trials of 12 steps with batch 5, seed 0, search seed 0" in text
    assert "over tasks on one validation image" in text
    assert "the same budget" in restormer.to_latex()
    frame = restormer.to_dataframe()
    assert list(frame["validation_db"]) == [25.5, 25.5, 24.0]
    assert list(frame["trial"]) == [1, 2, 0]


def test_the_summary_pairs_trials_of_the_same_point(tmp_path: Path) -> None:
    tuning = tuning_of("restormer,promptir,oracle,explicit", tmp_path, trials=5)
    values = {f"restormer {number}": 20.0 + number for number in range(5)}
    values |= {f"promptir {number}": 20.5 + number for number in range(5)}
    values |= {"oracle 0": 19.0, "oracle 3": 27.0}
    store_validation(tuning, values)
    summary = tuning_summary(tuning, tuning_tables(tuning, {}))
    frame = summary.to_dataframe().set_index("method")
    assert dict(frame.loc["promptir"]) == {
        **{"trials": 5, "best_db": 24.5, "own_db": 20.5, "median_db": 22.5},
        **{"shared_points": 5, "ahead": 5},
        **{"difference_db": 0.5, "difference_low_db": 0.5, "difference_high_db": 0.5},
    }
    text = " ".join(summary.to_text(width=200).split())
    assert "+0.50 [+0.50, +0.50]" in text
    oracle = frame.loc["oracle"]
    assert (oracle["shared_points"], oracle["ahead"], oracle["difference_db"]) == (2, 1, 1.5)
    assert oracle["difference_low_db"] == "", "two points have no interval"
    assert list(frame.loc["explicit"])[:4] == [0, "", "", ""]
    assert list(frame.loc["restormer"])[4:] == [0, 0, "", "", ""], "compared with nothing"


def test_trials_that_share_nothing_searched_are_no_pairs(tmp_path: Path) -> None:
    fixed = ("lr", "weight_decay", "patch_px", "warmup_steps")
    tuning = tuning_of("cpl,spm", tmp_path, fixed=fixed)
    store_validation(tuning, {f"{name} {n}": 20.0 for name in ("cpl", "spm") for n in (0, 1)})
    frame = tuning_summary(tuning, tuning_tables(tuning, {})).to_dataframe()
    assert list(frame["shared_points"]) == [0, 0]
    assert list(frame["difference_db"]) == ["", ""]


def test_a_name_of_another_table_is_refused_first(tmp_path: Path) -> None:
    tuning = tuning_of("restormer", tmp_path, name="mine")
    for table in tuning_tables(tuning, {}):
        table.write(tmp_path / "tables")
    check_tuning_names(tuning)
    (tmp_path / "tables" / "mine.csv").write_text("of a run")
    check_tuning_names(tuning)
    with pytest.raises(UsageError, match=r"mine\.csv holds another table"):
        check_tuning_names(tuning_of("restormer,promptir", tmp_path, name="mine"))
    other = tuning_of("restormer", tmp_path, name="mine", seed=1)
    with pytest.raises(UsageError, match=r"mine-restormer\.\w+ holds another table"):
        check_tuning_names(other)


def test_labels_follow_a_method_to_its_winner(tmp_path: Path) -> None:
    asked = {"methods": "cpl,promptir", "recipe": "smoke", "out": tmp_path}
    labels = {"cpl": "CPL (ours)", "derain": "Rain"}
    request = RunRequest.model_validate({**asked, "labels": labels})
    tuning = plan_tuning(request, Budget(trials=3))
    store_validation(
        tuning, {f"{name} {n}": 20.0 + n for name in ("cpl", "promptir") for n in range(3)}
    )
    found = tuning_outcome(tuning)
    assert "Search for CPL (ours)." in str(found.tables[0])
    assert "Ahead of CPL (ours)" in " ".join(str(found.summary).split())
    winner = found.tables[0].best
    assert winner is not None
    assert winner.trial.number == 2
    labelled = {winner.trial.method.id: "CPL (ours)", "derain": "Rain"}
    assert found.request().labels == labelled
    check_wording(harness.plan(found.request()))
    wrong = RunRequest.model_validate({**asked, "labels": {"cpr": "CPR (ours)"}})
    with pytest.raises(UsageError, match="--label cpr is no method"):
        plan_tuning(wrong, Budget(trials=3))


def test_a_search_of_a_name_leaves_the_name_to_its_tables(tmp_path: Path) -> None:
    tuning = tuning_of("restormer,promptir", tmp_path, name="mine", trials=1)
    store_validation(tuning, {"restormer 0": 20.0, "promptir 0": 20.0})
    found = tuning_outcome(tuning)
    assert (tmp_path / "tables/mine.csv").exists()
    check_table(harness.plan(found.request()))


def test_of_two_searches_that_end_at_one_method_the_better_training_wins(tmp_path: Path) -> None:
    start = "promptir:prompt_init=channel-normal"
    tuning = tuning_of(f"promptir,{start}", tmp_path, trials=12)
    number = next(
        trial.number
        for trial in tuning.searches[0].trials
        if trial.values.get("prompt_init") == "channel-normal"
    )
    store_validation(tuning, {f"promptir {number}": 21.0, f"{start} 3": 22.0})
    found = tuning_outcome(tuning)
    assert found.request().methods == (start,)
    better = tuning.searches[1].trials[3]
    assert found.request().training == {start: better.training}
    assert len(found.tables) == 2


def test_any_machine_makes_the_trials_of_a_stored_search(tmp_path: Path) -> None:
    tuning = tuning_of("restormer,explicit", tmp_path, steps=6, seed=4, fixed=("patch_px",))
    path = tmp_path / "plan.json"
    store_plan(tuning.plan, path)
    again = load_plan(path)
    assert again.all_runs == tuning.plan.all_runs
    assert plan_name(again) == plan_name(tuning.plan)
    plain = harness.plan(tuning.plan.request)
    assert plan_name(plain) != plan_name(tuning.plan), "their jobs do not share a file"
    store_plan(plain, path)
    assert load_plan(path).budget is None


def test_what_changes_a_protocol_changes_no_training(tmp_path: Path) -> None:
    asked = {"methods": "restormer", "recipe": "smoke", "out": tmp_path}
    evaluation = {"noise_rounding": "none"}
    plan = harness.plan(**asked, evaluation=evaluation)
    tuning = tuning_of("restormer", tmp_path, trials=1, evaluation=evaluation)
    assert tuning.plan.runs[0].weights_id == plan.runs[-1].weights_id


def test_images_are_not_kept_of_a_search() -> None:
    with pytest.raises(UsageError, match="restores no test image; leave keep_images=all out"):
        tuning_of("restormer", keep_images="all")


def test_tables_show_the_warmup_that_was_trained(tmp_path: Path) -> None:
    path = tmp_path / "held.yaml"
    path.write_text("base: mini\nname: held\ntrain: {steps: 200, lr_hold_steps: 20}\n")
    tuning = tuning_of("restormer", tmp_path, trials=6, recipe=str(path))
    warmups = set()
    for trial in tuning.searches[0].trials[1:]:
        trained = trial.runs[0].train.optimisation
        assert trained is not None
        assert trial.values["warmup_steps"] == trained.warmup_steps
        warmups.add(trained.warmup_steps)
    assert warmups <= {0, 20, 40}
    assert len(warmups) > 1


def test_no_warmup_is_searched_where_the_schedule_takes_none() -> None:
    train = load_recipe("mini").train
    assert "warmup_steps" in training_ranges(train)
    for name in ("transweather", "onerestore"):
        shipped = load_recipe(f"examples/recipes/{name}.yaml").train
        assert shipped.lr_halving_steps is not None
        assert "warmup_steps" not in training_ranges(shipped)


def test_values_that_are_not_finite_never_win(tmp_path: Path) -> None:
    tuning = tuning_of("restormer", tmp_path)
    store_validation(tuning, {"restormer 0": float("inf"), "restormer 1": 20.0})
    (table,) = tuning_tables(tuning, {})
    assert table.best is not None
    assert table.best.trial.number == 1


def test_training_values_of_single_methods(tmp_path: Path) -> None:
    values = {"recipe": "smoke", "out": tmp_path, "methods": "promptir,restormer"}
    plan = harness.plan(**values, training={"restormer": {"lr": 0.0005}})
    rates = {}
    for run in plan.runs:
        if run.train.optimisation is not None:
            rates[run.method.id] = run.train.optimisation.lr
    assert rates == {"promptir": 0.00208, "restormer": 0.0005}
    with pytest.raises(UsageError, match="'training' names method 'spm', which is not among"):
        harness.plan(**values, training={"spm": {"lr": 0.0005}})
    with pytest.raises(UsageError, match="training of restormer: unknown key 'rate'"):
        harness.plan(**values, training={"restormer": {"rate": 0.0005}})
    with pytest.raises(UsageError, match="training of restormer: warmup_steps 12 leaves none"):
        harness.plan(**values, training={"restormer": {"warmup_steps": 12}})


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "quick.yaml"
    path.write_text(QUICK_RECIPE)
    return path


def test_from_a_search_to_the_scores_of_its_winners(
    tmp_path: Path, recipe: Path, harness_command: Run
) -> None:
    out = tmp_path / "out"
    command = ["tune", "--methods", "restormer", "--trials", "2", "--recipe", str(recipe)]
    command += ["--fix", "warmup_steps", "--out", str(out)]
    shown = harness_command(*command, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "2 trainings on three-task (synthetic), recipe quick: about" in shown.stdout
    assert not out.exists()
    done = harness_command(*command)
    assert done.returncode == 0, done.stderr
    assert "Search for Restormer" in done.stdout
    assert not list(out.glob("*/results.jsonl")), "nothing is scored on test images"
    (tuned,) = (out / "tables").glob("*-tuned.yaml")
    assert len(list((out / "tables").glob("tuning-*-restormer.*"))) == 3
    trained = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/weights.*")}
    assert len(trained) == 2
    again = harness_command(*command)
    assert again.stdout == done.stdout
    assert "trained" not in again.stderr
    scored = harness_command("run", "--config", str(tuned))
    assert scored.returncode == 0, scored.stderr
    assert "trained" not in scored.stderr
    after = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/weights.*")}
    assert after == trained
    content = yaml.safe_load(tuned.read_text())
    if content["training"]:
        assert "Other than the recipe's: restormer: lr" in " ".join(scored.stdout.split())


def test_the_python_door_searches_too(tmp_path: Path, recipe: Path) -> None:
    found = harness.tune(
        methods=["restormer"], trials=1, recipe=str(recipe), out=tmp_path, fixed=["patch_px"]
    )
    assert found.tables[0].best is not None
    assert "Search for Restormer" in str(found)
    plan = harness.plan(found.request())
    assert plan.runs[-1].id == found.tuning.plan.runs[0].id
    with pytest.raises(UsageError, match="trials"):
        harness.tune(methods=["restormer"], trials=0, recipe=str(recipe), out=tmp_path)
