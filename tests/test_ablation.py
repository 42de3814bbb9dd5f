"""Studies, paired differences, their tables, and results that are taken as done."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from harness.api import check_study_names
from harness.config.errors import UsageError
from harness.evaluation.metrics import metric_facts
from harness.execution import archiving
from harness.execution.status import run_status
from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest
from harness.planning.run import Run
from harness.planning.studies import load_study, methods_of, study_names
from harness.registry import catalogue
from harness.reporting.ablation_results import AxisResult, ValueResult
from harness.reporting.ablation_table import AblationTable, ablation_table, ablation_tables
from harness.reporting.cross_table import CrossTable
from harness.reporting.figures.matrix import draw_matrix
from harness.reporting.figures.prompts import draw_prompts
from harness.reporting.plan_summary import summary_of
from harness.reporting.statistics import Difference, difference, natural_spread, pair
from harness.store.archive import export_runs, import_runs, read_archive
from harness.store.files import read_json_object, write_json
from harness.store.results import Result, append, read
from harness.store.stored_run import StoredRun
from tests.evidence_pages import EVIDENCE
from tests.plans import plan_of
from tests.test_killed import ANALYSIS

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results/reference"
EXAMPLES = ROOT / "examples/ablations"


OF_DRAWS = {(c, f"p{i}#{n}"): f"p{i}" for c in "ab" for i in range(50) for n in range(9)}
"""The photographs of images that are called by them and their draw."""


def rows(
    value: Callable[[int, str, str], float],
    seeds: Sequence[int] = (0,),
    photographs: int = 8,
    columns: Sequence[str] = ("a", "b"),
    draws: int = 1,
) -> list[Result]:
    return [
        Result(
            "w",
            "s",
            "m",
            seed,
            "x",
            "d",
            column,
            f"p{i}#{n}",
            "psnr",
            "p",
            "q",
            value(seed, column, f"p{i}"),
        )
        for seed in seeds
        for column in columns
        for i in range(photographs)
        for n in range(draws)
    ]


def planned(
    out: Path,
    methods: Sequence[str],
    seeds: tuple[int, ...] = (0, 1),
    recipe: str = "smoke",
    columns: tuple[str, ...] = (),
) -> Plan:
    return make_plan(
        RunRequest(methods=tuple(methods), recipe=recipe, seeds=seeds, out=out, columns=columns)
    )


def number(photograph: str) -> int:
    return int(photograph.removeprefix("p"))


# --- statistics --------------------------------------------------------------------------


def test_what_an_image_costs_both_drops_out() -> None:
    hard = rows(lambda seed, column, p: 30.0 - 3 * number(p))
    better = rows(lambda seed, column, p: 30.5 - 3 * number(p))
    paired = pair(better, hard, "psnr", OF_DRAWS)
    assert paired is not None
    found = difference(paired, "images")
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_columns_weigh_alike_whatever_their_images() -> None:
    ours = [
        *rows(lambda s, c, p: 1.0, columns=["a"], photographs=2),
        *rows(lambda s, c, p: 4.0, columns=["b"], photographs=2, draws=5),
    ]
    zero = [
        *rows(lambda s, c, p: 0.0, columns=["a"], photographs=2),
        *rows(lambda s, c, p: 0.0, columns=["b"], photographs=2, draws=5),
    ]
    paired = pair(ours, zero, "psnr", OF_DRAWS)
    assert paired is not None
    assert difference(paired, "images").mean == pytest.approx(2.5)


def test_an_interval_over_images_is_that_of_the_mean_of_photographs() -> None:
    rng = np.random.default_rng(0)
    of = rng.standard_normal(40)
    ours = rows(lambda s, c, p: of[number(p)], photographs=40, draws=3)
    zero = rows(lambda s, c, p: 0.0, photographs=40, draws=3)
    paired = pair(ours, zero, "psnr", OF_DRAWS)
    assert paired is not None
    found = difference(paired, "images")
    # Draws and columns of a photograph are no more evidence than the photograph.
    half = 1.96 * of.std() / np.sqrt(40)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * half, rel=0.06)
    assert found == difference(paired, "images"), "the generator is fixed"


def test_each_spread_sees_its_own() -> None:
    by_seed = rows(lambda s, c, p: float(s), seeds=(0, 1, 2, 3))
    by_image = rows(lambda s, c, p: float(number(p)), seeds=(0, 1, 2, 3))
    zero = rows(lambda s, c, p: 0.0, seeds=(0, 1, 2, 3))

    def width(ours: list[Result], spread: str) -> float:
        paired = pair(ours, zero, "psnr", OF_DRAWS)
        assert paired is not None
        found = difference(paired, spread)  # type: ignore[arg-type]
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(by_seed, "images") == pytest.approx(0, abs=1e-9)
    assert width(by_image, "seeds") == pytest.approx(0, abs=1e-9)
    assert width(by_seed, "seeds") > 1
    assert width(by_image, "images") > 1
    assert width(by_seed, "seeds and images") > 1
    assert width(by_image, "seeds and images") > 1


def test_one_seed_has_no_spread_over_seeds() -> None:
    paired = pair(rows(lambda s, c, p: 1.0), rows(lambda s, c, p: 0.0), "psnr", OF_DRAWS)
    assert paired is not None
    assert difference(paired, "seeds") == Difference(pytest.approx(1.0), None, None)
    assert difference(paired, "seeds and images").low is None
    assert (natural_spread(1), natural_spread(2)) == ("images", "seeds and images")


def test_photographs_of_other_columns_are_no_substitute() -> None:
    """Real sets have their own images: a column keeps its number of them in every draw."""
    ours = [
        *rows(lambda s, c, p: 1.0, columns=["a"], photographs=3),
        *[
            r
            for r in rows(lambda s, c, p: 3.0, columns=["b"], photographs=6)
            if number(r.image[:2]) > 2
        ],
    ]
    zero = [Result(**{**vars(r), "value": 0.0}) for r in ours]
    paired = pair(ours, zero, "psnr", OF_DRAWS)
    assert paired is not None
    assert sorted(len(group) for group in paired.groups) == [3, 3]
    found = difference(paired, "images")
    assert (found.low, found.high) == pytest.approx((2, 2))


def test_values_that_are_not_finite_are_not_paired() -> None:
    """A bootstrap over the rest would be one of other images."""
    full = rows(lambda s, c, p: 1.0)
    for value in (float("nan"), float("inf")):
        broken = [replace(full[0], value=value), *full[1:]]
        assert pair(broken, full, "psnr", OF_DRAWS) is None
        assert pair(full, broken, "psnr", OF_DRAWS) is None


def test_what_is_not_the_same_is_not_paired() -> None:
    full = rows(lambda s, c, p: 1.0)
    assert pair(full[:-1], full, "psnr", OF_DRAWS) is None
    assert pair(full, full, "ssim", OF_DRAWS) is None
    two = rows(lambda s, c, p: 1.0, seeds=(0, 1))
    assert pair(two[:-1], two[:-1], "psnr", OF_DRAWS) is None, "a seed lacks an image"


# --- studies -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*study_names(), *map(str, EXAMPLES.glob("*.yaml"))])
def test_every_study_can_be_planned(name: str) -> None:
    study = load_study(name, "three-task", "smoke")
    assert study.title
    assert name not in catalogue().specs, "a study is not called as a method is"
    plan = planned(Path("unused"), study.methods, (0,))
    hashes = [run.weights_id for run in plan.runs]
    assert len(hashes) == len(set(hashes)), "no two runs are the same"
    shown = {value.method for axis in study.axes for value in axis.values}
    assert shown <= set(plan.method_ids)


def test_the_bare_ablation_shares_the_base() -> None:
    studies = [load_study(name, "three-task", "smoke") for name in ("topk", "negatives")]
    methods = methods_of(studies)
    assert methods[0] == "cpl"
    assert len(methods) == 7
    labels = [[value.label for value in study.axes[0].values] for study in studies]
    assert labels == [["1", "2", "3", "5"], ["0", "1", "2", "4"]]
    topk, negatives = ({value.method for value in study.axes[0].values} for study in studies)
    assert methods[0] in topk
    assert topk & negatives == {"cpl:top_k=1"}
    assert {value.baseline for value in studies[1].axes[0].values[1:]} == {
        "cpl:cpr_weight=0:top_k=1"
    }


def test_a_value_takes_the_place_of_the_option_that_the_base_sets() -> None:
    study = load_study("topk", "three-task", "smoke", "cpl:cpr_start=0.2:top_k=1")
    assert study.methods == [
        "cpl:cpr_start=0.2:top_k=1",
        "cpl:cpr_start=0.2:top_k=2",
        "cpl:cpr_start=0.2",
        "cpl:cpr_negatives=other-task:cpr_start=0.2:top_k=5",
    ]


def write_study(folder: Path, **changes: object) -> str:
    values = [{"label": "1", "options": {"top_k": 1}}, {"label": "2", "options": {"top_k": 2}}]
    content = {
        "title": "My study",
        "base": "spm:top_k=1",
        "axes": {"k": {"label": "k", "values": values}},
        **changes,
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def axis(*values: dict[str, object]) -> dict[str, object]:
    return {"k": {"label": "k", "values": list(values)}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"basis": "spm"}, "unknown key 'basis'"),
        ({"base": "smp"}, "did you mean 'spm'"),
        ({"axes": {}}, "axes"),
        ({"axes": axis({"label": "1"}, {"label": "1"})}, "two values are labelled '1'"),
        ({"axes": axis({"label": "1"}, {"label": "2", "baseline": "3"})}, "baseline of '2' is '3'"),
        (
            {"axes": axis({"label": "1"}, {"label": "2", "options": {"topk": 2}})},
            "value '2': spm has no option 'topk'; did you mean 'top_k'",
        ),
        (
            {"axes": axis({"label": "1"}, {"label": "9", "options": {"top_k": 9}})},
            "value '9': spm:top_k=9",
        ),
    ],
    ids=lambda v: str(v)[:30],
)
def test_a_study_that_is_wrong_says_where(
    changes: dict[str, object], named: str, tmp_path: Path
) -> None:
    path = write_study(tmp_path, **changes)
    with pytest.raises(UsageError) as error:
        load_study(path, "three-task", "smoke")
    assert named in str(error.value)
    assert "mine.yaml" in str(error.value)


def test_an_unknown_study_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown study 'topkk'; did you mean 'topk'"):
        load_study("topkk", "three-task", "smoke")


# --- tables ------------------------------------------------------------------------------


def table(**changes: object) -> AblationTable:
    values = (
        ValueResult("1", {"psnr_rgb": 25.0}, {"psnr_rgb": None}, {}, 6.0),
        ValueResult(
            "2", {"psnr_rgb": 25.5}, {"psnr_rgb": Difference(0.5, 0.2, 0.9)}, {"haze": 1.0}
        ),
        ValueResult("3", {"psnr_rgb": None}, {"psnr_rgb": None}, failed="RunError: not finite"),
    )
    facts: dict[str, object] = {
        "study": "topk",
        "axis": "topk",
        "title": "How many",
        "label": "k",
        "baseline": "k = 1",
        "metrics": (metric_facts("psnr_rgb"),),
        "columns": ("haze",),
        "values": values,
        "context": "Seeds 0, 1.",
        "spread": "seeds and images",
        **changes,
    }
    return ablation_table(AxisResult(**facts), "stem")  # type: ignore[arg-type]


LONG = "How much of the $5 and $6 of a long and winding title of a study is left of it"


def draw_long_matrix(folder: Path) -> None:
    labels = (("1", "2"), ("1", "2"))
    draw_matrix([[1.0, 2.0], [3.0, None]], labels, ("k", LONG), (LONG, ".2f"), folder / "a")


def draw_long_prompts(folder: Path) -> None:
    draw_prompts(LONG, ANALYSIS, folder / "a")


@pytest.mark.parametrize(
    ("module", "draw"),
    [
        ("ablation", lambda folder: table(title=LONG, label=LONG).write(folder)),
        ("matrix", draw_long_matrix),
        ("prompts", draw_long_prompts),
    ],
)
def test_long_texts_are_inside_their_figure(
    module: str, draw: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    name = f"harness.reporting.figures.{module}.save"
    monkeypatch.setattr(name, lambda figure, _: drawn.append(figure) or [])
    draw(tmp_path)
    (figure,) = drawn
    figure.draw_without_rendering()
    texts = [figure._suptitle, *(place.title for place in figure.axes)]
    texts += [place.xaxis.label for place in figure.axes]
    shown = [text for text in texts if text is not None and text.get_text()]
    for text in shown:
        extent = text.get_window_extent()
        assert figure.bbox.x0 <= extent.x0, text
        assert extent.x1 <= figure.bbox.x1, text
    words = [text.get_text().replace(r"\$", "$").split()[:10] for text in shown]
    assert LONG.split()[:10] in words


def test_tables_show_differences_failures_and_what_intervals_are_over(tmp_path: Path) -> None:
    for text in (table().to_text(), table().to_markdown()):
        assert "+0.50 [+0.20, +0.90]" in text
        assert "3: RunError: not finite" in text
        assert "failed" in text
        assert "over seeds and images" in " ".join(text.split())
    assert "not over seeds" in table(spread="images").table.details
    assert r"$\Delta$ PSNR" in table().to_latex()
    lines = list(csv.DictReader(io.StringIO(table().to_csv())))
    assert [line["delta"] for line in lines] == ["", "0.5", ""]
    paths = table().write(tmp_path)
    assert {path.suffix for path in paths} == {".csv", ".md", ".tex", ".png", ".pdf"}
    figures = [path for path in paths if path.suffix in (".png", ".pdf")]
    assert all(path.stat().st_size > 2000 for path in figures)
    content = json.loads(json.dumps(table().as_json()))
    assert [value["label"] for value in content["values"]] == ["1", "2", "3"]
    assert content["caption"] == f"{table().table.caption} {table().table.details}"


# --- results as files --------------------------------------------------------------------


def stored_run(run: Run) -> StoredRun:
    needed = tuple(stored_run(needed) for needed in run.requires)
    return StoredRun(run.method.id, run.train, run.score, run.folder, needed)


def stored_runs(plan: Plan) -> list[StoredRun]:
    return [stored_run(run) for run in plan.runs]


def stored(out: Path, methods: Sequence[str] = ("promptir",)) -> Plan:
    """Return a plan whose runs have made-up scores stored, and no weights."""
    plan = planned(out, methods)
    for place, run in enumerate(plan.runs):
        run.folder.path.mkdir(parents=True)
        assert run.score_id is not None
        append(
            run.folder.results,
            [
                Result(
                    run.weights_id,
                    run.score_id,
                    run.method.id,
                    run.train.seed,
                    "three-task",
                    "synthetic",
                    column,
                    image,
                    metric,
                    plan.setting.preprocessing.id,
                    plan.setting.protocol.id,
                    20.0 + place,
                )
                for column, images in plan.test.images_by_column().items()
                for image in images
                for metric in plan.metrics
            ],
        )
        write_json(run.folder.prompt_summary, {"higher_is_better": {}})
    return plan


def test_exported_results_are_imported_as_done(tmp_path: Path) -> None:
    plan = stored(tmp_path / "a", ["promptir", "explicit"])
    assert export_runs(stored_runs(plan), tmp_path / "kept") == len(plan.runs) == 5
    again = planned(tmp_path / "b", ["promptir", "explicit"])
    assert import_runs(stored_runs(again), tmp_path / "kept") == 5
    assert all(run_status(run, again) == "done" for run in again.runs)
    assert import_runs(stored_runs(again), tmp_path / "kept") == 0, "what is there stays"
    more = planned(tmp_path / "b", ["spm"], (0,))
    assert import_runs(stored_runs(more), tmp_path / "kept") == 0
    assert [run_status(run, more) for run in more.runs] == ["done", "missing"]


def test_columns_without_data_leave_the_others_their_differences(tmp_path: Path) -> None:
    """Where some data sets are not on the disk, there is no mean over all columns."""
    plan = stored(tmp_path, ["promptir", "cpl"])
    study = tmp_path / "two.yaml"
    study.write_text(
        "title: T\nbase: promptir\naxes: {m: {label: m, values: "
        "[{label: a, method: promptir}, {label: b, method: cpl}]}}\n"
    )
    loaded = load_study(str(study), "three-task", "smoke")
    (whole,) = ablation_tables(loaded, plan, {})
    assert whole.result.values[1].deltas["psnr_rgb"] is not None
    assert "Dehaze" in whole.result.values[1].columns
    absent = replace(plan, absent_columns={"dehaze": "sots-outdoor"})
    (part,) = ablation_tables(loaded, absent, {})
    assert part.result.values[1].deltas["psnr_rgb"] is None
    assert set(part.result.values[1].columns) == set(whole.result.values[1].columns) - {"Dehaze"}


def crossed(folder: Path, cross: str = "[k, n]", second: str = "cpr_count: 2") -> Path:
    """Write a study of two axes that are crossed."""
    path = folder / "crossed.yaml"
    path.write_text(
        "title: Two things\nbase: cpl:cpr_count=1:top_k=1\n"
        f"cross: {cross}\n"
        "axes:\n"
        "  k: {label: k, values: [{label: '1', options: {top_k: 1}}, "
        "{label: '2', options: {top_k: 2}}]}\n"
        "  n: {label: n, values: [{label: '1', options: {cpr_count: 1}}, "
        f"{{label: '2', options: {{{second}}}}}]}}\n"
    )
    return path


def test_two_seeds_alone_have_no_interval(tmp_path: Path) -> None:
    """Its ends would be the smaller and the larger of two values."""
    study = load_study(str(crossed(tmp_path)), "three-task", "smoke")
    plan = stored(tmp_path / "out", study.methods)
    for made in ablation_tables(study, plan, {}, "seeds"):
        assert "o interval" in made.table.details, made.table.details
        deltas: list[Difference | None] = []
        for row in made.result.values:
            if isinstance(row, ValueResult):
                deltas += row.deltas.values()
            else:
                deltas += [value.delta for value in row]
        known = [delta for delta in deltas if delta is not None]
        assert known
        assert all((delta.low, delta.high) == (None, None) for delta in known)


def test_crossed_axes_are_a_matrix_with_a_figure(tmp_path: Path) -> None:
    study = load_study(str(crossed(tmp_path)), "three-task", "smoke")
    assert study.cross is not None
    assert study.cross.methods[0][0] == "cpl:cpr_count=1:top_k=1"
    assert len(set(study.methods)) == 4, "values at the base share its runs"
    plan = stored(tmp_path / "out", study.methods)
    tables = ablation_tables(study, plan, {})
    assert [type(table).__name__ for table in tables[:2]] == ["AblationTable"] * 2
    matrices = [table for table in tables if isinstance(table, CrossTable)]
    assert [table.result.metric.id for table in matrices] == list(plan.metrics)
    values = matrices[0].result.values
    assert values[0][0].delta is None
    assert values[1][1].delta is not None
    assert values[1][1].average == 27.5, "the mean of two seeds"
    paths = matrices[0].write(tmp_path / "tables")
    assert {path.suffix for path in paths} == {".csv", ".md", ".tex", ".png", ".pdf"}
    lines = list(csv.DictReader(io.StringIO(matrices[0].to_csv())))
    assert len(lines) == 4
    assert json.loads(json.dumps(matrices[0].as_json()))["rows"] == ["1", "2"]
    for text in (matrices[0].to_text(), matrices[0].to_latex()):
        assert "k / n" in text


def test_a_named_study_is_never_replaced_by_another(tmp_path: Path) -> None:
    study = load_study(str(crossed(tmp_path)), "three-task", "smoke")
    plan = stored(tmp_path / "out", study.methods)
    named = replace(plan, request=plan.request.model_copy(update={"name": "mine"}))
    check_study_names([study], named)
    for table in ablation_tables(study, named, {}):
        table.write(named.out / "tables")
    check_study_names([study], named)
    with pytest.raises(UsageError, match="holds another table"):
        check_study_names([replace(study, title="Another")], named)
    check_study_names([replace(study, title="Another")], plan)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"deran": "Rain"}, "--label deran is no method, column or metric here; did you mean"),
        ({"derain": "Average"}, "calls both derain and the average"),
    ],
)
def test_a_label_of_an_ablation_is_checked(
    labels: dict[str, str], message: str, tmp_path: Path
) -> None:
    study = load_study("topk", "three-task", "smoke")
    plan = planned(tmp_path, methods_of([study]), (0,), "smoke")
    named = replace(plan, request=plan.request.model_copy(update={"labels": labels}))
    with pytest.raises(UsageError, match=message):
        check_study_names([study], named)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cross": "[k, m]"}, "cross names 'm', which is no axis"),
        ({"cross": "[k]"}, "cross names two axes"),
        ({"second": "top_k: 3"}, "both axes set top_k"),
    ],
)
def test_what_cannot_be_crossed_is_refused(
    changes: dict[str, str], named: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=named):
        load_study(str(crossed(tmp_path, **changes)), "three-task", "smoke")


def test_chosen_columns_are_those_that_are_compared(tmp_path: Path) -> None:
    stored(tmp_path, ["promptir", "cpl"])
    plan = planned(tmp_path, ["promptir", "cpl"], columns=("derain", "denoise15"))
    absent = replace(plan, absent_columns={"dehaze": "sots-outdoor"})
    study = tmp_path / "two.yaml"
    study.write_text(
        "title: T\nbase: promptir\naxes: {m: {label: m, values: "
        "[{label: a, method: promptir}, {label: b, method: cpl}]}}\n"
    )
    (found,) = ablation_tables(load_study(str(study), "three-task", "smoke"), absent, {})
    assert found.result.values[1].deltas["psnr_rgb"] is not None
    assert set(found.result.values[1].columns) == {"Derain", "σ=15"}
    assert "Columns chosen, without σ=25, σ=50, Dehaze" in found.to_text().replace("\n", " ")


def test_a_value_that_is_not_finite_has_no_difference_and_names_its_image(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["promptir", "cpl"])
    run = next(run for run in plan.runs if run.method.id == "cpl" and run.train.seed == 1)
    results = read([run.folder.results])
    run.folder.results.unlink()
    broken = replace(results[0], value=float("nan"))
    append(run.folder.results, [broken, *results[1:]])
    study = tmp_path / "two.yaml"
    study.write_text(
        "title: T\nbase: promptir\naxes: {m: {label: m, values: "
        "[{label: a, method: promptir}, {label: b, method: cpl}]}}\n"
    )
    (found,) = ablation_tables(load_study(str(study), "three-task", "smoke"), plan, {})
    value = found.result.values[1]
    assert value.averages["psnr_rgb"] is None
    assert value.deltas["psnr_rgb"] is None
    assert value.deltas["ssim_rgb_uniform7"] is not None
    assert broken.image in found.warnings[0]
    assert "seed 1 (nan)" in found.to_text()
    assert found.write(tmp_path / "tables")


def test_what_made_no_difference_is_said(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["promptir", "cpl"])
    for seed in plan.seeds:
        own, other = (
            next(run for run in plan.runs if run.method.id == name and run.train.seed == seed)
            for name in ("cpl", "promptir")
        )
        same = [
            replace(result, method=own.method.id, score=own.score_id)
            for result in read([other.folder.results])
        ]
        own.folder.results.unlink()
        append(own.folder.results, same)
    study = tmp_path / "two.yaml"
    study.write_text(
        "title: T\nbase: promptir\naxes: {m: {label: m, values: "
        "[{label: a, method: promptir}, {label: b, method: cpl}]}}\n"
    )
    (found,) = ablation_tables(load_study(str(study), "three-task", "smoke"), plan, {})
    assert found.warnings[0].startswith("b: same values as m = a on every image")
    rows = {row.id: row for row in summary_of(plan).request.methods}
    assert rows["cpl"].notes[-1].startswith("same values as PromptIR on every image")
    assert not any("same values" in note for note in rows["promptir"].notes)


def test_a_failed_run_says_why_in_its_row(tmp_path: Path) -> None:
    plan = stored(tmp_path, ["spm"])
    study = load_study(write_study(tmp_path), "three-task", "smoke")
    plan = planned(tmp_path, study.methods)
    (found,) = ablation_tables(study, plan, {"spm seed 0": "not finite"})
    assert [value.failed for value in found.result.values] == ["", "seed 0: not finite"]
    assert "2: seed 0: not finite" in found.to_text()


def test_a_folder_of_archives_is_searched(tmp_path: Path) -> None:
    export_runs(stored_runs(stored(tmp_path / "a", ["promptir"])), tmp_path / "kept/one")
    export_runs(stored_runs(stored(tmp_path / "b", ["spm"])), tmp_path / "kept/two")
    again = planned(tmp_path / "c", ["promptir", "spm"])
    assert import_runs(stored_runs(again), tmp_path / "kept") == len(again.runs) == 5


def test_a_training_is_imported_under_the_id_that_it_is_asked_by(tmp_path: Path) -> None:
    """A default that is written out names the same training."""
    written = planned(tmp_path / "a", ["spm:top_k=2"])
    assert written.runs[1].weights_id == planned(tmp_path / "a", ["spm"]).runs[1].weights_id
    export_runs(stored_runs(stored(tmp_path / "a", ["spm:top_k=2"])), tmp_path / "kept/one")
    export_runs(stored_runs(stored(tmp_path / "b", ["promptir"])), tmp_path / "kept/two")
    plain = planned(tmp_path / "c", ["spm"])
    assert import_runs(stored_runs(plain), tmp_path / "kept") == len(plain.runs)
    assert all(run.folder.spec.exists() for run in plain.runs)
    # An archive may hold it under both.
    export_runs(stored_runs(plain), tmp_path / "kept/one")
    again = planned(tmp_path / "d", ["spm"])
    assert import_runs(stored_runs(again), tmp_path / "kept") == len(again.runs)
    assert summary_of(again).entry("spm", "derain", "psnr_rgb") is not None
    assert summary_of(plain).entry("spm", "derain", "psnr_rgb") is not None


def test_the_evidence_is_that_of_the_present_code(tmp_path: Path) -> None:
    """What the appendix says stands on runs that the same command would compute today."""
    widened = "restormer:dim=22:ffn_expansion=3.0"
    methods = ["promptir", widened, "cpl", "spm-guided", "cpl-guided"]
    plan = planned(tmp_path, methods, (0, 1, 2), "mini")
    assert import_runs(stored_runs(plan), REFERENCE) == len(plan.runs) == 16
    assert all(run_status(run, plan) == "done" for run in plan.runs)
    study = load_study("components", "three-task", "mini")
    # The study also has methods of which the archive holds no runs.
    plan = planned(tmp_path, list(dict.fromkeys([*methods, *study.methods])), (0, 1, 2), "mini")
    (components,) = ablation_tables(study, plan, {})
    values = {value.label: value for value in components.result.values}
    for label in ("SPM + CPR", "SPM, guided", "SPM + CPR, guided"):
        assert not values[label].failed
        gain = values[label].deltas["psnr_rgb"]
        assert gain is not None
        said = f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
        assert said in EVIDENCE, label


def test_the_stored_ablations_are_those_of_the_guided_base(tmp_path: Path) -> None:
    studies = [
        load_study(name, "three-task", "ablation", "cpl-guided") for name in ("topk", "negatives")
    ]
    plan = planned(tmp_path, methods_of(studies), (0,), "ablation")
    assert import_runs(stored_runs(plan), REFERENCE / "ablation") == len(plan.runs) == 8
    assert all(run_status(run, plan) == "done" for run in plan.runs)
    words = ["prompts selected, k = 1", "negatives = 0"]
    for study, baseline in zip(studies, words, strict=True):
        (table,) = ablation_tables(study, plan, {})
        assert table.result.baseline == baseline
        for value in table.result.values:
            gain = value.deltas["psnr_rgb"]
            if gain is not None:
                said = f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"
                assert said in EVIDENCE, value.label


def test_a_base_that_nothing_is_compared_with_is_not_trained() -> None:
    assert "cpl" not in load_study("negatives", "three-task", "ablation").methods
    assert load_study("topk", "three-task", "ablation").methods[0] == "cpl"


def test_what_differences_are_to_is_said_in_words(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    first, second = '{label: "a", options: {top_k: 1}', '{label: "b", options: {top_k: 2}'
    text = 'title: "Mine"\nbase: cpl\naxes: {k: {label: "k", values: [%s}, %s, baseline: "a"}]}}\n'
    for own, words in (("", "k = a, and of that one to cpl"), (', baseline: "a"', "k = a")):
        path.write_text(text % (first + own, second))
        study = load_study(str(path), "three-task", "ablation")
        plan = planned(tmp_path, methods_of([study]), (0,), "ablation")
        (table,) = ablation_tables(study, plan, {})
        assert table.result.baseline == words


def test_an_export_adds_to_what_is_there(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    export_runs(stored_runs(stored(tmp_path / "a", ["promptir"])), kept)
    export_runs(stored_runs(stored(tmp_path / "b", ["spm"])), kept)
    assert {result.method for result in read_archive(kept)} == {
        "degraded-input",
        "promptir",
        "spm",
    }
    first = (kept / "results.csv").read_bytes()
    export_runs(stored_runs(planned(tmp_path / "b", ["spm"])), kept)
    assert (kept / "results.csv").read_bytes() == first


def on_other_images(run: StoredRun) -> StoredRun:
    assert run.score is not None
    test = run.score.test.model_copy(update={"setting_version": 99})
    return replace(run, score=run.score.model_copy(update={"test": test}))


def with_both_scores(plan: Plan) -> tuple[list[StoredRun], list[StoredRun]]:
    """Return the runs of a stored plan, and the same ones on other images, which are stored too."""
    own = stored_runs(plan)
    others = list(map(on_other_images, own))
    for run, other in zip(own, others, strict=True):
        assert other.score_id is not None
        results = [replace(result, score=other.score_id) for result in run.results()]
        append(run.folder.results, results)
    return own, others


@pytest.mark.parametrize("at_once", [False, True])
def test_no_export_drops_scores_of_the_same_weights(at_once: bool, tmp_path: Path) -> None:
    own, others = with_both_scores(stored(tmp_path / "a"))
    kept = tmp_path / "kept"
    for runs in [[*own, *others]] if at_once else [own, others, own]:
        assert export_runs(runs, kept) == len(own)
    rows = read_archive(kept)
    assert len(rows) == len(set(rows)) == sum(len(run.results()) for run in [*own, *others])
    first = (kept / "results.csv").read_bytes()
    export_runs(others, kept)
    assert (kept / "results.csv").read_bytes() == first


@pytest.mark.parametrize("part", ["metric", "image", "column"])
def test_an_export_keeps_rows_that_the_folder_lacks(part: str, tmp_path: Path) -> None:
    """The folder was imported, or scored anew, in part; what it has of a score takes its place."""
    kept, run = tmp_path / "kept", stored_runs(stored(tmp_path / "a"))[1]
    export_runs([run], kept)
    before = list(run.results())
    left_out = getattr(before[0], part)
    fresh = [replace(row, value=9.0) for row in before if getattr(row, part) != left_out]
    assert 0 < len(fresh) < len(before)
    run.folder.results.unlink()
    append(run.folder.results, fresh)
    export_runs([run], kept)
    rows = read_archive(kept)
    assert len(rows) == len(before)
    for row in rows:
        assert (row.value == 9.0) is (getattr(row, part) != left_out)


def test_what_an_archive_holds_of_any_protocol_is_imported(tmp_path: Path) -> None:
    kept, both = tmp_path / "kept", ("three-task", "basicsr-y")

    def under(out: str, protocols: tuple[str, ...]) -> Plan:
        evaluation = {"protocol": protocols}
        return plan_of(["promptir"], tmp_path / out, evaluation=evaluation)

    scored = under("a", both)
    assert len(scored.others) == 1
    for run in scored.others[0].runs:
        assert run.score_id is not None
        row = Result(
            *(run.weights_id, run.score_id, run.method.id, run.train.seed, "three-task"),
            *("synthetic", "derain", "one", "psnr_rgb", "three-task", "basicsr-y", 20.0),
        )
        run.folder.path.mkdir(parents=True)
        append(run.folder.results, [row])
    assert archiving.export_runs(scored, kept) == len(scored.runs)
    again = under("b", both)
    assert archiving.import_runs(again, kept) == len(again.runs)
    assert all(stored_run(run).is_stored() for run in again.others[0].runs)
    assert archiving.import_runs(again, kept) == 0, "what is there stays"
    assert archiving.import_runs(under("c", both[:1]), kept) == 0


def test_an_export_keeps_what_the_archive_knows_of_prompts(tmp_path: Path) -> None:
    kept, own = tmp_path / "kept", stored_runs(stored(tmp_path / "a"))[1]
    summary = {"prompts": {"gap": 1}, "higher_is_better": {"fid": False}}
    write_json(own.folder.prompt_summary, summary)
    write_json(own.folder.prompt_analysis, {"one": {}})
    export_runs([own], kept)
    write_json(own.folder.prompt_summary, {"higher_is_better": {"lpips": False}})
    write_json(own.folder.prompt_analysis, {"two": {}})
    export_runs([own], kept)
    (path,) = (kept / "runs").iterdir()
    content = read_json_object(path)
    assert content["prompt_analysis"] == {"one": {}, "two": {}}
    both = {"fid": False, "lpips": False}
    assert content["prompt_summary"] == {"prompts": {"gap": 1}, "higher_is_better": both}


def test_an_import_adds_what_a_folder_lacks(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    own, others = with_both_scores(stored(tmp_path / "a"))
    write_json(own[1].folder.prompt_analysis, {"theirs": {}, "both": {"by": "them"}})
    write_json(own[1].folder.prompt_summary, {"prompts": {"gap": 1}})
    write_json(own[1].folder.provenance, {"seconds": 1})
    export_runs([*own, *others], kept)
    fresh = stored_runs(planned(tmp_path / "b", ["promptir"]))
    theirs, here = others[1].results(), fresh[1].folder
    here.path.mkdir(parents=True)
    append(here.results, list(theirs))
    write_json(here.prompt_analysis, {"both": {"by": "us"}})
    write_json(here.prompt_summary, {"higher_is_better": {}})
    write_json(here.provenance, {"seconds": 2})
    assert import_runs(fresh, kept) == len(own)
    assert len(read([here.results])) == len(own[1].results()) + len(theirs), "none is repeated"
    assert read_json_object(here.prompt_analysis) == {"theirs": {}, "both": {"by": "us"}}
    assert read_json_object(here.prompt_summary)["prompts"] == {"gap": 1}
    assert read_json_object(here.provenance) == {"seconds": 2}


def test_scores_under_two_ids_are_found_by_either(tmp_path: Path) -> None:
    """One score was exported with an option written out, the other without."""
    kept = tmp_path / "kept"
    own, others = with_both_scores(stored(tmp_path / "a"))
    export_runs(own, kept)
    export_runs(others, kept)
    path = kept / "results.csv"
    lines = path.read_text().splitlines(keepends=True)
    written = [
        line.replace("promptir", "promptir:x=1") if own[1].score_id in line else line
        for line in lines
    ]
    path.write_text("".join(written))
    fresh = stored_runs(planned(tmp_path / "b", ["promptir"]))
    assert import_runs(fresh, kept) == len(own)
    assert {result.method for result in read([fresh[1].folder.results])} == {"promptir"}


def test_an_archive_of_other_images_is_no_import(tmp_path: Path) -> None:
    runs = stored_runs(stored(tmp_path / "a"))
    export_runs(runs, tmp_path / "kept")
    fresh = list(map(on_other_images, stored_runs(planned(tmp_path / "b", ["promptir"]))))
    assert import_runs(fresh, tmp_path / "kept") == 0
    assert not any(run.folder.path.exists() for run in fresh)


def test_damaged_results_are_refused_by_name(tmp_path: Path) -> None:
    runs = stored_runs(planned(tmp_path / "b", ["promptir"]))
    with pytest.raises(UsageError, match=r"no results\.csv there"):
        import_runs(runs, tmp_path)
    with pytest.raises(UsageError, match="nothing of this plan is stored"):
        export_runs(runs, tmp_path)
    export_runs(stored_runs(stored(tmp_path / "a")), tmp_path)
    (path,) = (tmp_path / "runs").glob("promptir-s1-*")
    content = json.loads(path.read_text())
    content["spec"]["seed"] = 7
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="does not hold what its name says"):
        import_runs(runs, tmp_path)
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=r"results\.csv begins with none of its columns"):
        import_runs(runs, tmp_path)
