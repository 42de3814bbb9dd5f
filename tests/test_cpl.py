"""CPL as released and CPL with guided routing, which are two methods."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from harness.cli import app
from harness.config.errors import UsageError
from harness.config.recipe_files import load_recipe
from harness.execution.listing import stored_runs as listed_runs
from harness.planning.studies import load_study
from harness.registry import (
    find,
    option_groups,
    options_as_json,
    options_of_spec,
    resolve_options,
    stored_method,
    stored_options,
    with_options,
)
from harness.reporting.frames import results_frame
from harness.store.archive import export_runs, import_runs, read_archive
from harness.store.files import write_json
from harness.store.legacy.names import former_spec, present_id
from harness.store.results import Result, append
from harness.store.stored_run import StoredRun
from harness.training.gathered_state import settle
from tests.networks import TASKS, batch, build_tiny
from tests.plans import plan_of

PUBLIC = ("cpl", "spm", "cpr")
GUIDED = ("cpl-guided", "spm-guided")
TUNING = Path(__file__).parents[1] / "results/reference/tuning"


def options_of(reference: str, size: str = "tiny") -> dict[str, object]:
    return options_as_json(resolve_options(find(reference), size, TASKS, micro_batch=len(TASKS)))


# --- as released -------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*PUBLIC, "restormer+cpl", "restormer+spm"])
def test_what_is_public_has_no_part_of_the_extension(name: str) -> None:
    method = build_tiny(name).train()
    assert method.prompting.router is None
    assert method.prompting.teacher is None
    assert any(key.endswith("linear_layer.weight") for key in method.state_dict())
    assert not any("load_bias" in key for key in method.state_dict())
    losses = method.losses(batch(step=60), torch.Generator().manual_seed(0))
    assert set(losses) == ({"l1"} if name.endswith("spm") else {"l1", "cpr"})


def test_a_selected_prompt_keeps_its_probability_as_weight() -> None:
    method = build_tiny("cpl").eval()
    with torch.no_grad():
        routing = method.decode(method.encode(torch.rand(3, 3, 24, 40))).routing
    assert len({id(routed.weights) for routed in routing.values()}) == len(method.levels)
    for routed in routing.values():
        assert routed.probabilities is not None
        largest = routed.probabilities.topk(3, dim=-1).values.sum(dim=-1)
        torch.testing.assert_close(routed.weights.sum(-1), largest)
        assert (routed.weights > 0).sum(-1).tolist() == [3, 3, 3]


@pytest.mark.parametrize("name", ["cpr", "cpl", "cpl-guided"])
def test_cpr_sends_no_sample_beyond_its_ground_truth(name: str) -> None:
    """The ground truth is the best output: a margin ends, or weight x push is below 1."""
    options = options_of(name)
    pushed = float(str(options["cpr_weight"])) * float(str(options["cpr_push"]))
    assert options["cpr_form"] == "margin-db" or pushed < 1
    assert options["cpr_features"] == "pixels"


def test_the_parts_of_cpl_guided_are_those_of_spm_guided() -> None:
    whole, part = options_of("cpl-guided"), options_of("spm-guided")
    assert {name for name in whole if whole[name] != part[name]} == {
        *("cpr_weight", "cpr_form", "cpr_margin_db", "cpr_gradient", "cpr_start")
    }


@pytest.mark.parametrize("name", ["spm", "cpr", "cpl", "cpl-guided"])
def test_defaults_are_those_of_the_best_trial(name: str) -> None:
    with (TUNING / f"{name}.csv").open(encoding="utf-8") as file:
        best = next(csv.DictReader(file))
    options = options_of(name)
    if name == "cpl-guided":
        # Centred inputs came after the search; see methods/cpl_guided/spec.py.
        best["load_balancing_weight"] = str(float(best["load_balancing_weight"]) / 10)
    for option, text in best.items():
        if option in options:
            value = options[option]
            assert text == value if isinstance(value, str) else float(text) == value, option


def test_every_option_of_guided_routing_is_refused_or_open() -> None:
    """What the extension has otherwise is either settled by the release, or not public."""
    for public, guided in zip(("cpl", "spm"), GUIDED, strict=True):
        ours, theirs, spec = options_of(guided), options_of(public), find(public).spec
        differing = {name for name, value in ours.items() if value != theirs[name]}
        about_cpr = {name for name in differing if name.startswith("cpr_")}
        assert differing - about_cpr <= {*spec.released, "top_k"}
        for name in differing & set(spec.released):
            text = json.dumps(ours[name]).strip('"')
            with pytest.raises(UsageError, match=f"{name}=.* is not part of .* use {guided},"):
                options_of(f"{public}:{name}={text}")


@pytest.mark.parametrize("name", [*PUBLIC, "restormer+cpl"])
def test_features_are_not_added_to_the_prompt(name: str) -> None:
    with pytest.raises(UsageError, match=r"residual_prompt=true is not part of .* as released"):
        options_of(f"{name}:residual_prompt=true")


@pytest.mark.parametrize("name", ["top_k", "prompt_init", "cpr_form", "cpr_weight", "cpr_count"])
def test_what_is_not_public_stays_an_option(name: str) -> None:
    values = {"top_k": "2", "prompt_init": "channel-normal", "cpr_form": "ratio"}
    text = values.get(name, "3")
    assert str(options_of(f"cpl:{name}={text}")[name]) in (text, f"{text}.0")


@pytest.mark.parametrize("name", ["cpl", "spm", "restormer+cpl"])
def test_weights_of_the_authors_run_with_one_prompt(name: str) -> None:
    options = resolve_options(find(name), "full", TASKS, micro_batch=5, published=True)
    assert options.top_k == (3 if name.startswith("restormer") else 1)


def test_mini_is_the_best_drawn_point_of_the_search() -> None:
    means: dict[tuple[str, str, str], list[float]] = {}
    methods = {path.stem for path in TUNING.glob("*.csv")} - {"summary"}
    for name in methods:
        with (TUNING / f"{name}.csv").open(encoding="utf-8") as file:
            for trial in csv.DictReader(file):
                if trial["patch_px"] == "64":
                    point = trial["lr"], trial["weight_decay"], trial["warmup_steps"]
                    means.setdefault(point, []).append(float(trial["validation_db"]))
    assert {len(values) for values in means.values()} == {len(methods)}
    best = max(means, key=lambda point: sum(means[point]))
    train = load_recipe("ablation").train  # as long as the trials
    assert best == (f"{train.lr:g}", f"{train.weight_decay:g}", f"{train.warmup_steps}")


def test_negatives_of_dense_prompts_are_those_of_other_tasks() -> None:
    assert options_of("cpr")["cpr_negatives"] == "other-task"
    with pytest.raises(UsageError, match="this router selects all 5"):
        options_of("cpr:cpr_negatives=in-use")


# --- the extension -----------------------------------------------------------------------

# What the methods had before a search set their defaults: hashes and losses of then still hold.
FORMER = {
    "router_temperature": "0.2",
    "load_balancing_weight": "0.05",
    "teacher_weight": "0.05",
    "teacher_inputs": "raw",
}
FORMER_CPR = {
    "cpr_weight": "0.002",
    "cpr_form": "margin-db",
    "cpr_margin_db": "5.0",
    "cpr_gradient": "full",
    "cpr_start": "0.1",
    "cpr_negatives": "in-use",
}
OPTIONS = {
    ("cpl-guided", "tiny"): "623fd319d92cb21e",
    ("cpl-guided", "small"): "92781021071a8beb",
    ("cpl-guided", "full"): "e87421d1104ddc7e",
    ("spm-guided", "tiny"): "1ee7900128875072",
    ("spm-guided", "small"): "e69cdcbf94e486dc",
    ("spm-guided", "full"): "a6a4c9a1808aa466",
    ("restormer+cpl-guided", "small"): "f6d296f0a7bbb82c",
}
LOSSES = {
    "cpl-guided": (
        {"l1": 0.07612573355, "load_balancing": -1.0091887e-4, "teacher": 0.0769358, "cpr": 0.0},
        {
            "l1": 0.07664079964,
            "load_balancing": -1.0595185e-4,
            "teacher": 0.0722470,
            "cpr": 7.82442e-3,
        },
        43230.93795,
    ),
    "spm-guided": (
        {"l1": 0.07612573355, "load_balancing": -1.0091887e-4, "teacher": 0.0769358},
        {"l1": 0.07664079964, "load_balancing": -1.0595185e-4, "teacher": 0.0722470},
        43231.19866,
    ),
}


def former_options(name: str) -> dict[str, str]:
    return FORMER if name.startswith("spm") else {**FORMER, **FORMER_CPR}


@pytest.mark.parametrize(("reference", "size"), OPTIONS)
def test_former_options_are_stored_as_they_were(reference: str, size: str) -> None:
    # As a spec holds them: options that came later are left out where they have their default.
    former = with_options(find(reference), former_options(reference))
    options = resolve_options(former, size, TASKS, micro_batch=len(TASKS))
    text = json.dumps(options_of_spec(options), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == OPTIONS[reference, size]


def test_an_option_that_came_later_changes_no_older_hash(tmp_path: Path) -> None:
    plain, other, default = (
        plan_of([f"spm-guided{options}"], tmp_path).runs[-1]
        for options in (":teacher_inputs=raw", ":teacher_inputs=centred", "")
    )
    assert default.weights_id == other.weights_id
    assert "teacher_inputs" not in plain.train.options
    assert other.train.options["teacher_inputs"] == "centred"
    assert other.weights_id != plain.weights_id


@pytest.mark.parametrize("name", GUIDED)
def test_two_steps_of_former_options_are_what_they_were(name: str) -> None:
    method = build_tiny(name, seed=5, **former_options(name)).train()
    optimiser = torch.optim.AdamW(method.parameters(), lr=1e-3)
    *expected, total = LOSSES[name]
    for step, terms in enumerate(expected):
        rng = torch.Generator().manual_seed(step)
        losses = method.losses(batch(seed=6, step=50 + step), rng)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        settle(method)
        optimiser.step()
        found = {key: float(value.detach()) for key, value in losses.items()}
        assert found == pytest.approx(terms, rel=2e-5, abs=2e-8)
    weights = sum(float(p.detach().double().abs().sum()) for p in method.parameters())
    assert weights == pytest.approx(total, rel=1e-6)


# --- names in tables and listings --------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "label"),
    [
        ("cpl", "CPL"),
        ("spm", "SPM"),
        ("cpl-guided", "CPL-guided (this project)"),
        ("promptir+cpl-guided", "CPL-guided (this project)"),
        ("spm-guided:top_k=2", "SPM-guided (this project):top_k=2"),
        ("adair+cpl", "AdaIR+CPL"),
        ("adair+cpl-guided", "AdaIR+CPL-guided (this project)"),
    ],
)
def test_labels_say_whose_method_it_is(reference: str, label: str) -> None:
    assert find(reference).label == label


def test_the_listing_says_whose_method_it_is() -> None:
    printed = " ".join(CliRunner().invoke(app, ["methods"]).stdout.split())
    for guided in GUIDED:
        assert guided in printed
        assert "this project" in find(guided).spec.source
        assert "this project" in find(guided).spec.summary


def test_methods_prints_what_is_public_and_what_is_chosen_apart() -> None:
    printed = CliRunner().invoke(app, ["methods", "cpl"]).stdout
    first, released, chosen, others = (
        printed.index(text)
        for text in (
            "cpl: contrastive",
            "what the authors' release holds; other values belong to cpl-guided",
            "chosen here, because it is not public",
            "other options",
        )
    )
    assert first < released < chosen < others
    assert released < printed.index("\nteacher_weight ") < chosen
    assert chosen < printed.index("\ncpr_form ") < others
    assert printed.index("\ndim ") > others
    guided = CliRunner().invoke(app, ["methods", "cpl-guided"]).stdout
    assert "what the authors' release holds" not in guided
    assert guided.index("chosen by this project") < guided.index("\nteacher_weight ")


def test_methods_prints_the_defaults_of_full_size_alone() -> None:
    lines = CliRunner().invoke(app, ["methods", "promptir"]).stdout.splitlines()
    (shown,) = [line for line in lines if line.startswith("unused_convolutions ")]
    assert shown.split()[1] == str(options_of("promptir", "full")["unused_convolutions"])
    refused = CliRunner().invoke(app, ["methods", "cpl:top_k=1"])
    assert isinstance(refused.exception, UsageError)
    assert "name cpl alone" in str(refused.exception)


@pytest.mark.parametrize("name", [*PUBLIC, *GUIDED, "nafnet+cpl"])
def test_groups_hold_every_option_once_with_a_reason(name: str) -> None:
    spec = find(name).spec
    lines = [line for group in option_groups(spec) for line in group.lines]
    names = [line[0] for line in lines]
    assert sorted(names) == sorted(options_of(name))
    assert all(line[2] for line in lines)


def test_a_method_without_a_release_has_one_group() -> None:
    (group,) = option_groups(find("promptir").spec)
    assert group.title == ""


# --- studies -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("study", "base"),
    [
        ("topk", "cpl"),
        ("negatives", "cpl"),
        ("cpr-form", "cpl"),
        ("router", "cpl-guided"),
        ("components", "promptir"),
    ],
)
def test_studies_stand_on_the_method_that_they_are_about(study: str, base: str) -> None:
    loaded = load_study(study, "three-task", "mini")
    assert loaded.base == base
    names = {method.partition(":")[0] for method in loaded.methods}
    if study == "components":
        assert {*PUBLIC, *GUIDED} <= names
    else:
        assert names == {base}


def test_a_study_can_stand_on_another_method() -> None:
    study = load_study("topk", "three-task", "ablation", "cpl-guided:cpr_start=0.2")
    assert study.base == "cpl-guided:cpr_start=0.2"
    assert study.methods == [
        "cpl-guided:cpr_start=0.2",
        "cpl-guided:cpr_start=0.2:top_k=2",
        "cpl-guided:cpr_start=0.2:top_k=3",
        "cpl-guided:cpr_start=0.2:top_k=5",
    ]
    with pytest.raises(UsageError, match=r"topk.yaml, value 'base': unknown method 'cpll'"):
        load_study("topk", "three-task", "ablation", "cpll")


def test_ablate_takes_the_base_from_its_flag(tmp_path: Path) -> None:
    line = ["ablate", "--study", "topk", "--base", "cpl-guided", "--dry-run"]
    done = CliRunner().invoke(app, [*line, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "cpl-guided:top_k=2" in done.stdout
    assert "cpl:top_k" not in done.stdout


# --- what was stored under the former names ----------------------------------------------


def stored(reference: str, out: Path) -> StoredRun:
    run = plan_of([reference], out).runs[-1]
    return StoredRun(run.method.id, run.train, run.score, run.folder)


def former_of(run: StoredRun, method_id: str, out: Path) -> StoredRun:
    """Return ``run`` as it was stored before its method had its name, with one result."""
    spec = former_spec(run.spec)
    assert spec is not None
    assert run.score is not None
    former = replace(run, method=method_id, spec=spec)
    score = run.score.model_copy(update={"weights": former.weights_id})
    folder = replace(run.folder, path=out / f"{method_id.replace(':', '_')}-s0-{former.weights_id}")
    former = replace(former, score=score, folder=folder)
    write_json(folder.spec, spec.model_dump(mode="json"))
    ids = (former.weights_id, str(former.score_id), method_id, 0)
    result = Result(
        *ids, "three-task", "synthetic", "derain", "china#0", "psnr_rgb", "p", "q", 27.5
    )
    append(folder.results, [result])
    write_json(folder.prompt_analysis, {str(former.score_id): {"images": {}}})
    return former


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("cpl", "cpl-guided"),
        ("spm:top_k=2", "spm-guided:top_k=2"),
        ("restormer+cpl", "restormer+cpl-guided"),
    ],
)
def test_archives_of_the_former_names_are_those_of_the_extension(
    former: str, present: str, tmp_path: Path
) -> None:
    run = stored(present, tmp_path / "new")
    export_runs([former_of(run, former, tmp_path / "old")], tmp_path / "kept")
    public = stored(former, tmp_path / "new")
    assert import_runs([public], tmp_path / "kept") == 0, "it is another method"
    assert import_runs([run], tmp_path / "kept") == 1
    (result,) = run.results()
    assert (result.method, result.weights, result.score, result.value) == (
        present,
        run.weights_id,
        run.score_id,
        27.5,
    )
    assert list(json.loads(run.folder.prompt_analysis.read_text())) == [run.score_id]
    assert set(results_frame(tmp_path / "old")["method"]) == {present}
    assert set(results_frame(tmp_path / "kept")["method"]) == {present}
    assert {result.method for result in read_archive(tmp_path / "kept")} == {former}
    assert [info.method for info in listed_runs(tmp_path / "old")] == [present.partition(":")[0]]


def test_an_old_run_of_cpr_is_one_with_its_options(tmp_path: Path) -> None:
    run = stored("cpr:cpr_weight=0.002", tmp_path)
    spec = former_spec(run.spec)
    assert spec is not None
    assert (run.spec.method_version, spec.method_version) == (3, 2)
    assert spec.options == run.spec.options
    assert former_spec(stored("promptir", tmp_path).spec) is None


def test_weights_of_the_authors_keep_their_name() -> None:
    released = {"method_version": 2, "options": {"shared_router": False, "teacher_weight": 0.0}}
    guided = {"method_version": 2, "options": {"shared_router": True, "teacher_weight": 0.05}}
    assert present_id("cpl", released) == "cpl"
    assert present_id("cpl", guided) == "cpl-guided"
    assert present_id("adair+spm@sequential:top_k=2", guided) == (
        "adair+spm-guided@sequential:top_k=2"
    )
    assert present_id("cpl", {**guided, "method_version": 3}) == "cpl"
    assert present_id("promptir", guided) == "promptir"


def test_stored_weights_are_those_of_the_method_that_has_their_options() -> None:
    for public, guided in zip(("cpl", "spm"), GUIDED, strict=True):
        assert stored_method(public, options_of(guided)).id == guided
        assert stored_method(public, options_of(public)).id == public
    with pytest.raises(UsageError, match=r"old.safetensors: .* use cpl-guided"):
        stored_options(find("cpl").spec, options_of("cpl-guided"), "old.safetensors")
