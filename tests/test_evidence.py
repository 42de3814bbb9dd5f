"""What docs/evidence.md says of runs on folders of images is what the stored rows give today."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import harness
from benchmarks.evidence_figures import (
    CURVES,
    LABELLED,
    PROMPTIR,
    RAIN100L_COLUMNS,
    RECIPES,
    WIDENED,
    stored_plan,
)
from harness.evaluation.probes.definitions import normalised_mutual_information
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.planning.studies import load_study
from harness.published.tables import AVERAGE
from harness.reporting.frames import results_frame
from harness.reporting.prompt_report import stored_prompts
from tests.evidence_pages import EVIDENCE

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared/data"
SENTENCES = " ".join(EVIDENCE.split()).replace(" dB [", " [")
STUDY = str(ROOT / "examples/ablations/cpr-push.yaml")
SEEDS = {"curve-600": (0, 1, 2), "curve": (0, 1, 2), "curve-6000": (0,)}
FOLDERS = {"train": str(SHARED / "RainTrainL/norain"), "test": str(SHARED / "CBSD68")}


def stored(file: str, out: Path, data: dict[str, Any], **request: Any) -> Plan:
    """Return the plan of a request that lies beside an archive, with what the archive holds."""
    if not SHARED.is_dir():
        pytest.skip("needs RainTrainL, CBSD68 and Rain100L")
    made, found = stored_plan(file, data, out, **request)
    assert found == len(made.runs)
    return made


def check(plan: Plan, pairs: Iterable[tuple[str, str]], columns: Sequence[str]) -> None:
    """Check that the document has the differences and intervals of the stored rows."""
    for pair in pairs:
        tests = {(t.column, t.metric): t.delta for t in harness.compare(plan, list(pair)).tests}
        for column in columns:
            delta = tests[column, "psnr_rgb"]
            assert delta is not None
            said = f"{delta.mean:+.2f} [{delta.low:+.2f}, {delta.high:+.2f}]"
            assert said in SENTENCES, f"{pair}, {column}: {said}"


def test_the_intervals_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    plan = stored("clean-images/request.yaml", tmp_path, {"clean_images": FOLDERS})
    promptir, widened, *others = plan.method_ids[1:]
    check(plan, product(others, [promptir, widened]), [AVERAGE])
    # What CPR adds to sparse prompts, and the release's choices to CPL.
    spm, cpl, drawn, searched, searched_spm, guided, *labelled = others
    columns = [column.name for column in plan.columns]
    check(plan, [(cpl, spm), (searched, searched_spm), (spm, promptir)], [*columns, AVERAGE])
    check(plan, [(drawn, cpl)], [AVERAGE])
    check(plan, product(labelled, [guided]), [AVERAGE])


@pytest.mark.parametrize("archive", ["clean-images", "rain100l"])
def test_the_intervals_of_the_logarithmic_loss_are_those_of_the_stored_rows(
    archive: str, tmp_path: Path
) -> None:
    if archive == "rain100l":
        data: dict[str, Any] = {"root": str(SHARED)}
        plan = stored("rain100l/parts.yaml", tmp_path, data)
        promptir, widened, spm, cpl, drawn, pushed, widened_log, _, *labelled = plan.method_ids[1:]
        pairs = [(spm, promptir), (cpl, spm), (drawn, promptir), (widened_log, widened)]
        pairs += [(pushed, promptir)]
        pairs += product(labelled, [promptir])
    else:
        data = {"clean_images": FOLDERS}
        plan = stored("clean-images/log-loss.yaml", tmp_path, data)
        *alone_and_with, cpl, drawn = plan.method_ids[1:]
        pairs = [*zip(alone_and_with[1::2], alone_and_with[::2], strict=True)]
        check(plan, product([alone_and_with[1]], [cpl, drawn]), [AVERAGE])
    check(plan, pairs, [*(column.name for column in plan.shown_columns), AVERAGE])


def test_the_intervals_of_a_form_that_pushes_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    plan = stored("clean-images/contrast.yaml", tmp_path, {"clean_images": FOLDERS})
    promptir, widened, cpl, drawn, pushed, drawn_pushed = plan.method_ids[1:]
    pairs = [(pushed, promptir), (pushed, cpl), (drawn_pushed, promptir), (drawn_pushed, drawn)]
    check(plan, pairs, [*(column.name for column in plan.columns), AVERAGE])
    check(plan, [(pushed, widened)], [AVERAGE])
    runs = [run for run in plan.runs if run.method.id in (pushed, drawn_pushed)]
    assert all(abs(float(gap)) <= 0.05 for gap in stored_gaps(runs).split(", "))


def test_the_intervals_of_a_push_that_trains_negatives_are_those_of_the_stored_rows(
    tmp_path: Path,
) -> None:
    plan = stored("clean-images/contrast-full.yaml", tmp_path, {"clean_images": FOLDERS})
    promptir, weak, strong = plan.method_ids[1:]
    check(plan, product([strong], [promptir, weak]), [AVERAGE])
    gaps = stored_gaps([run for run in plan.runs if run.method.id == strong]).split(", ")
    assert f"the gap is {gaps[0]} dB in seed 0 and {gaps[1]} dB in seed 1" in SENTENCES


def test_the_intervals_at_the_weight_of_cpl_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    plan = stored("clean-images/log-weight.yaml", tmp_path, {"clean_images": FOLDERS})
    _, spm, log, cpl = plan.method_ids[1:]
    columns = [column.name for column in plan.columns]
    check(plan, [(log, spm), (cpl, spm), (log, cpl)], [*columns, AVERAGE])


def test_the_intervals_of_a_promptless_network_with_it_are_those_of_three_seeds(
    tmp_path: Path,
) -> None:
    methods = (PROMPTIR, WIDENED, WIDENED.replace("restormer", "restormer-log"), "cpl-guided")
    data = {"clean_images": FOLDERS}
    asked: dict[str, Any] = {"methods": methods, "seeds": (0, 1, 2)}
    plan = stored("clean-images/log-loss.yaml", tmp_path, data, **asked)
    promptir, widened, widened_log, guided = plan.method_ids[1:]
    check(plan, product([widened_log], [promptir, widened]), [AVERAGE])
    check(plan, [(guided, widened_log)], [AVERAGE])


def test_the_routing_is_that_of_the_stored_runs(tmp_path: Path) -> None:
    plan = stored("clean-images/request.yaml", tmp_path, {"clean_images": FOLDERS})
    published, searched, guided = (
        [run for run in plan.runs if run.method.id == name]
        for name in (
            "cpl",
            "cpl-guided:load_balancing_weight=0.0248:teacher_inputs=raw",
            "cpl-guided",
        )
    )
    kinds = ", ".join(f"{min(of):.2f} to {max(of):.2f}" for of in information(published, True))
    tasks = ", ".join(f"{max(of):.2f}" for of in information(published, False))
    said = f"{stored_gaps(published)} | {kinds} (tasks at most {tasks}) |"
    assert f"| CPL: seeds 0, 1, 2, each level | {said}" in EVIDENCE, said
    for label, runs in (("CPL-guided, as searched", searched), ("CPL-guided", guided)):
        kinds, tasks = (
            ", ".join(f"{levels[0]:.2f}" for levels in information(runs, by_kind))
            for by_kind in (True, False)
        )
        said = f"{label}: seeds 0, 1, 2 | {stored_gaps(runs)} | {kinds} (tasks {tasks}) |"
        assert said in EVIDENCE, said


def stored_gaps(runs: Sequence[Run]) -> str:
    """Return the prompt-swap gaps of runs."""
    prompts = [run.prompts for run in stored_prompts(runs)]
    assert len(prompts) == len(runs)
    return ", ".join(f"{found['prompt_swap_gap_db']:z.2f}" for found in prompts if found)


def information(runs: Sequence[Run], by_kind: bool) -> list[list[float]]:
    """Return for each run and level the mutual information of an expert drawn by its weight."""
    found = []
    for run in stored_prompts(runs):
        assert run.prompts is not None
        levels = []
        for loads in run.prompts["expert_load"].values():
            experts, tasks = [], []
            for task, shares in loads.items():
                for expert, share in enumerate(shares):
                    count = round(1000 * share)
                    experts += [expert] * count
                    tasks += ["denoise" if by_kind and "denoise" in task else task] * count
            levels.append(normalised_mutual_information(experts, tasks))
        found.append(levels)
    return found


def test_the_intervals_on_rain100l_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    data = {"root": str(SHARED)}
    plan = stored("rain100l/request.yaml", tmp_path, data)
    promptir, widened, *others = plan.method_ids[1:]
    check(plan, product(others, [promptir, widened]), [*RAIN100L_COLUMNS, AVERAGE])


def test_the_numbers_on_unseen_degradations_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    plan = stored("clean-images/ood.yaml", tmp_path, {"clean_images": FOLDERS})
    _, promptir, _, *others = plan.method_ids
    check(plan, product(others, [promptir]), [AVERAGE])
    tests = harness.compare(plan, plan.method_ids).tests
    for other in others:
        pairs = [test for test in tests if (test.first, test.second) == (promptir, other)]
        shown = [test for test in pairs if test.metric == "psnr_rgb" and test.column != AVERAGE]
        assert all(test.delta is not None for test in shown)
        row = " | ".join(f"{-test.delta.mean:+.2f}" for test in shown if test.delta is not None)
        assert row in EVIDENCE, row


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("archive", ["clean-images", "rain100l"])
def test_the_intervals_of_three_lengths_are_those_of_the_stored_rows(
    archive: str, recipe: str, tmp_path: Path
) -> None:
    plan = curve_plan(archive, recipe, tmp_path, SEEDS[recipe])
    columns = [column.name for column in plan.shown_columns]
    check(plan, product(plan.method_ids[2:], [PROMPTIR]), [*columns, AVERAGE])
    check(plan, [("cpl-guided", WIDENED)], [*columns, AVERAGE])
    if recipe == "curve-6000":
        check(plan, [("cpl", WIDENED)], [AVERAGE])


def test_the_intervals_of_two_seeds_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    methods = (PROMPTIR, WIDENED, "cpl-guided")
    plan = curve_plan("clean-images", "curve-6000", tmp_path, (0, 1), methods)
    columns = [column.name for column in plan.columns]
    pairs = [(WIDENED, PROMPTIR), ("cpl-guided", PROMPTIR), ("cpl-guided", WIDENED)]
    check(plan, pairs, [*columns, AVERAGE])


@pytest.mark.parametrize("base", [PROMPTIR, WIDENED])
@pytest.mark.parametrize("archive", ["clean-images", "rain100l"])
def test_the_leads_of_one_seed_are_those_of_the_stored_rows(
    archive: str, base: str, tmp_path: Path
) -> None:
    means = []
    for recipe in RECIPES:
        plan = curve_plan(archive, recipe, tmp_path / recipe, (0,))
        tests = harness.compare(plan, ["cpl-guided", base]).tests
        (delta,) = (t.delta for t in tests if (t.column, t.metric) == (AVERAGE, "psnr_rgb"))
        assert delta is not None
        means.append(f"{delta.mean:+.2f}")
    said = f"{means[0]}, {means[1]} and {means[2]}"
    assert said in SENTENCES, said


def curve_plan(
    archive: str,
    recipe: str,
    out: Path,
    seeds: tuple[int, ...],
    methods: tuple[str, ...] = CURVES,
) -> Plan:
    """Return the plan of one length of a learning curve, with what the archive holds."""
    asked: dict[str, Any] = {"recipe": f"examples/recipes/{recipe}.yaml", "seeds": seeds}
    data: dict[str, Any] = {"clean_images": FOLDERS}
    if archive == "rain100l":
        data = {"root": str(SHARED)}
    return stored(f"{archive}/request.yaml", out, data, methods=methods, **asked)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("archive", ["clean-images", "rain100l"])
def test_the_intervals_of_methods_with_labels_are_those_of_the_stored_rows(
    archive: str, recipe: str, tmp_path: Path
) -> None:
    methods = (PROMPTIR, WIDENED, "cpl-guided", *LABELLED)
    plan = curve_plan(archive, recipe, tmp_path, SEEDS[recipe], methods)
    columns = [column.name for column in plan.shown_columns]
    check(plan, product(LABELLED, [PROMPTIR]), [*columns, AVERAGE])
    explicit, oracle = LABELLED
    if archive == "rain100l":
        check(plan, [("cpl-guided", oracle)], [AVERAGE])
        if recipe == "curve":
            check(plan, [("cpl-guided", explicit)], [AVERAGE])
    elif recipe == "curve-6000":
        check(
            plan, [("cpl-guided", oracle), ("cpl-guided", explicit), (oracle, WIDENED)], [AVERAGE]
        )


@pytest.mark.parametrize(
    ("recipe", "count", "without_db"),
    [("curve-600", 6, -0.05), ("curve", 4, -0.02), ("curve-6000", 4, -0.26)],
)
def test_the_pairs_far_below_the_oracle_are_those_of_the_stored_rows(
    recipe: str, count: int, without_db: float, tmp_path: Path
) -> None:
    oracle = LABELLED[1]
    plan = curve_plan("clean-images", recipe, tmp_path, (0,), ("cpl-guided", oracle))
    rows = results_frame(plan.out)
    columns = [column.name for column in plan.columns]
    psnr_db = rows[(rows.metric == "psnr_rgb") & rows.column.isin(columns)].pivot_table(
        index=["column", "image"], columns="method", values="value"
    )
    difference_db = psnr_db["cpl-guided"] - psnr_db[oracle]
    far = difference_db < -5
    assert far.sum() == count
    assert set(difference_db[far].index.get_level_values("column")) == {"dehaze", "derain"}
    found_db = difference_db[~far].groupby("column").mean().mean()
    assert f"{found_db:.2f}" == f"{without_db:.2f}"
    assert f"{without_db:.2f}" in SENTENCES


def test_the_ablation_of_cpl_is_that_of_the_stored_rows(tmp_path: Path) -> None:
    one = "cpl:top_k=1"
    by_k = (one, "cpl:top_k=2", "cpl:cpr_negatives=other-task:top_k=5")
    none, *counts = (
        f"cpl:{option}:top_k=1" for option in ("cpr_weight=0", "cpr_count=1", "cpr_count=4")
    )
    plan = curve_plan("clean-images", "curve-600", tmp_path, (0,), ("cpl", *by_k, none, *counts))
    check(plan, product(by_k, ["cpl"]), [AVERAGE])
    check(plan, product((*counts, one), [none]), [AVERAGE])


def test_the_pushes_of_cpr_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    axis = load_study(STUDY, "three-task", "smoke").axes[0]
    none, *pushed = (v.method for v in axis.values if "cpr_gradient=prompts" not in v.method)
    plan = curve_plan("clean-images", "curve-600", tmp_path, (0,), (none, *pushed))
    check(plan, product(pushed, [none]), [AVERAGE])
    gaps = {run.method.id: stored_gaps([run]) for run in plan.runs if run.method.spec.trained}
    assert [gaps[method] for method in (none, *pushed)] == ["0.00", "-0.01", "0.07", "0.88"]


def test_the_intervals_at_half_the_rate_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    plan = stored(
        "rain100l/request.yaml",
        tmp_path,
        {"root": str(SHARED)},
        recipe="examples/recipes/curve-6000-half-rate.yaml",
        seeds=(0,),
        methods=(PROMPTIR, WIDENED, "cpl-guided"),
    )
    pairs = [(WIDENED, PROMPTIR), ("cpl-guided", PROMPTIR), ("cpl-guided", WIDENED)]
    check(plan, pairs, [*RAIN100L_COLUMNS, AVERAGE])


def test_the_intervals_of_other_networks_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    plan = stored("clean-images/plug-ins.yaml", tmp_path, {"clean_images": FOLDERS})
    columns = [*(column.name for column in plan.columns), AVERAGE]
    methods = plan.method_ids[1:]
    for alone, *added in zip(methods[::3], methods[1::3], methods[2::3], strict=True):
        check(plan, product(added, [alone]), columns)


@pytest.mark.parametrize("evaluation", [{}, {"test_set": "ood-kinds"}])
def test_the_means_with_clean_images_are_those_of_the_stored_rows(
    evaluation: dict[str, str], tmp_path: Path
) -> None:
    asked = {"evaluation": evaluation, "limit": 30} if evaluation else {}
    data = {"clean_images": FOLDERS}
    plan = stored("clean-images/with-clean.yaml", tmp_path, data, **asked)
    (test,) = (
        test
        for test in harness.compare(plan, plan.method_ids[1:]).tests
        if (test.column, test.metric) == (AVERAGE, "psnr_rgb")
    )
    for name, mean in zip(("PromptIR", "CPL-guided"), test.means, strict=True):
        (row,) = (line for line in EVIDENCE.splitlines() if f"| {name}, clean images too" in line)
        assert f"{mean:.2f}" in row, name
