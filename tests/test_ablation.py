"""Studies, paired differences, their tables, and results that are taken as done."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from harness.config.errors import UsageError
from harness.config.hashing import spec_hash
from harness.execution.status import expected_images, status
from harness.planning.plan import Plan, make_plan
from harness.planning.studies import load_study, methods_of, study_names
from harness.registry import catalogue
from harness.reporting.ablation import AxisTable, ValueLine, draw, latex, markdown, terminal
from harness.reporting.ablation_results import axis_tables
from harness.reporting.statistics import Difference, difference, natural_spread, pair
from harness.store.archive import export, take
from harness.store.files import write_json
from harness.store.results import Result, append
from tests.conftest import Run

REFERENCE = Path(__file__).parents[1] / "results/reference"
EVIDENCE = (Path(__file__).parents[1] / "docs/evidence.md").read_text(encoding="utf-8")


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


def number(photograph: str) -> int:
    return int(photograph.removeprefix("p"))


# --- statistics --------------------------------------------------------------------------


def test_what_an_image_costs_both_drops_out() -> None:
    hard = rows(lambda seed, column, p: 30.0 - 3 * number(p))
    better = rows(lambda seed, column, p: 30.5 - 3 * number(p))
    paired = pair(better, hard, "psnr")
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
    paired = pair(ours, zero, "psnr")
    assert paired is not None
    assert difference(paired, "images").mean == pytest.approx(2.5)


def test_an_interval_over_images_is_that_of_the_mean_of_photographs() -> None:
    rng = np.random.default_rng(0)
    of = rng.standard_normal(40)
    ours = rows(lambda s, c, p: of[number(p)], photographs=40, draws=3)
    zero = rows(lambda s, c, p: 0.0, photographs=40, draws=3)
    paired = pair(ours, zero, "psnr")
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
        paired = pair(ours, zero, "psnr")
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
    paired = pair(rows(lambda s, c, p: 1.0), rows(lambda s, c, p: 0.0), "psnr")
    assert paired is not None
    assert difference(paired, "seeds") == Difference(pytest.approx(1.0), None, None)
    assert difference(paired, "seeds and images").low is None
    assert (natural_spread(1), natural_spread(2)) == ("images", "seeds and images")


def test_photographs_of_other_columns_do_not_stand_in() -> None:
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
    paired = pair(ours, zero, "psnr")
    assert paired is not None
    assert sorted(len(group) for group in paired.groups) == [3, 3]
    found = difference(paired, "images")
    assert (found.low, found.high) == pytest.approx((2, 2))


def test_what_is_not_the_same_is_not_paired() -> None:
    full = rows(lambda s, c, p: 1.0)
    assert pair(full[:-1], full, "psnr") is None
    assert pair(full, full, "ssim") is None
    two = rows(lambda s, c, p: 1.0, seeds=(0, 1))
    assert pair(two[:-1], two[:-1], "psnr") is None, "a seed lacks an image"


# --- studies -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", study_names())
def test_every_study_can_be_planned(name: str) -> None:
    study = load_study(name, "three-task", "smoke")
    assert study.title
    assert name not in catalogue().specs, "a study is not called as a method is"
    plan = make_plan(study.methods, "three-task", "smoke", [0], (), Path("unused"))
    hashes = [run.weights_id for run in plan.runs]
    assert len(hashes) == len(set(hashes)), "no two runs are the same"
    shown = {point.method for line in study.lines for point in line.points}
    assert shown <= set(plan.method_ids)


def test_the_bare_ablation_shares_the_base() -> None:
    studies = [load_study(name, "three-task", "smoke") for name in ("topk", "negatives")]
    methods = methods_of(studies)
    assert methods[0] == "cpl"
    assert len(methods) == 7
    labels = [[p.label for p in study.lines[0].points] for study in studies]
    assert labels == [["1", "2", "3", "5"], ["0", "1", "2", "4"]]
    assert all("cpl" in {p.method for p in study.lines[0].points} for study in studies)


def write_study(folder: Path, **changes: object) -> str:
    values = [{"label": "1", "options": {"top_k": 1}}, {"label": "2", "options": {"top_k": 2}}]
    content = {
        "title": "My study",
        "base": "spm",
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
        ({"axes": axis({"label": "1"}, {"label": "2", "baseline": "3"})}, "against '3'"),
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


def table(**changes: object) -> AxisTable:
    lines = (
        ValueLine("1", {"psnr": 25.0}, {"psnr": None}, {}, 6.0),
        ValueLine("2", {"psnr": 25.5}, {"psnr": Difference(0.5, 0.2, 0.9)}, {"haze": 1.0}, None),
        ValueLine("3", {"psnr": None}, {"psnr": None}, {}, None, failed="CellError: not finite"),
    )
    values: dict[str, object] = {
        "study": "topk",
        "axis": "topk",
        "title": "How many",
        "label": "k",
        "baseline": "k = 1",
        "metrics": (("psnr", "PSNR", 2),),
        "columns": ("haze",),
        "lines": lines,
        "context": "Seeds 0, 1.",
        "spread": "seeds and images",
        **changes,
    }
    return AxisTable(**values)  # type: ignore[arg-type]


def test_tables_show_differences_failures_and_what_intervals_are_over(tmp_path: Path) -> None:
    for text in (terminal(table()), markdown(table())):
        assert "+0.50 [+0.20, +0.90]" in text
        assert "3: CellError: not finite" in text
        assert "failed" in text
        assert "over seeds and photographs" in " ".join(text.split())
    assert "not over seeds" in table(spread="images").caption
    typeset = latex(table())
    assert r"$\Delta$ PSNR" in typeset
    paths = [tmp_path / "f.png", tmp_path / "f.pdf"]
    draw(table(), paths)
    assert all(path.stat().st_size > 2000 for path in paths)


# --- results as files --------------------------------------------------------------------


def stored(out: Path, methods: Sequence[str] = ("promptir",)) -> Plan:
    """Return a plan whose runs have made-up scores stored, and no weights."""
    plan = make_plan(methods, "three-task", "smoke", [0, 1], (), out)
    for number_, run in enumerate(plan.runs):
        run.folder.path.mkdir(parents=True)
        assert run.score is not None
        append(
            run.folder.rows,
            [
                Result(
                    run.weights_id,
                    spec_hash(run.score),
                    run.method.id,
                    run.spec.seed,
                    "three-task",
                    "synthetic-twin",
                    column,
                    image,
                    metric,
                    plan.setting.preprocessing.id,
                    plan.setting.protocol.id,
                    20.0 + number_,
                )
                for column, images in expected_images(plan).items()
                for image in images
                for metric in plan.metrics
            ],
        )
        write_json(run.folder.probes, {"higher_is_better": {}})
    return plan


def test_exported_results_are_taken_as_done(tmp_path: Path) -> None:
    plan = stored(tmp_path / "a", ["promptir", "explicit"])
    assert export(plan, tmp_path / "kept") == len(plan.runs) == 5
    again = make_plan(["promptir", "explicit"], "three-task", "smoke", [0, 1], (), tmp_path / "b")
    assert take(again, tmp_path / "kept") == 5
    assert all(status(run, again) == "cached" for run in again.runs)
    assert take(again, tmp_path / "kept") == 0, "what is there stays"
    more = make_plan(["spm"], "three-task", "smoke", [0], (), tmp_path / "b")
    assert take(more, tmp_path / "kept") == 0
    assert [status(run, more) for run in more.runs] == ["cached", "missing"]


def test_columns_without_data_leave_the_others_their_differences(tmp_path: Path) -> None:
    """Where some real images are not on the disk, there is no mean over all columns."""
    plan = stored(tmp_path, ["promptir", "cpl"])
    study = tmp_path / "two.yaml"
    study.write_text(
        "title: T\nbase: promptir\naxes: {m: {label: m, values: "
        "[{label: a, method: promptir}, {label: b, method: cpl}]}}\n"
    )
    loaded = load_study(str(study), "three-task", "smoke")
    (whole,) = axis_tables(loaded, plan, {}, None)
    assert whole.lines[1].deltas["psnr_rgb"] is not None
    assert "Dehaze" in whole.lines[1].columns
    (part,) = axis_tables(loaded, replace(plan, absent={"dehaze": "sots-outdoor"}), {}, None)
    assert part.lines[1].deltas["psnr_rgb"] is None
    assert set(part.lines[1].columns) == set(whole.lines[1].columns) - {"Dehaze"}


def test_a_folder_of_exports_is_searched(tmp_path: Path) -> None:
    export(stored(tmp_path / "a", ["promptir"]), tmp_path / "kept/one")
    export(stored(tmp_path / "b", ["spm"]), tmp_path / "kept/two")
    methods = ["promptir", "spm"]
    again = make_plan(methods, "three-task", "smoke", [0, 1], (), tmp_path / "c")
    assert take(again, tmp_path / "kept") == len(again.runs) == 5


def test_the_evidence_is_that_of_the_present_code(tmp_path: Path) -> None:
    """What docs/evidence.md says stands on runs that the same command would compute today."""
    wide = "restormer:dim=22:ffn_expansion=3.0"
    methods = ["restormer", wide, "promptir", "explicit", "oracle", "spm", "cpr", "cpl"]
    plan = make_plan(methods, "three-task", "mini", [0, 1, 2], (), tmp_path)
    assert take(plan, REFERENCE) == len(plan.runs) == 25
    assert all(status(run, plan) == "cached" for run in plan.runs)
    (components,) = axis_tables(load_study("components", "three-task", "mini"), plan, {}, None)
    assert {line.label: not line.failed for line in components.lines}["SPM + CPR"]
    gain = next(line for line in components.lines if line.label == "SPM + CPR").deltas["psnr_rgb"]
    assert gain is not None
    assert f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]" in EVIDENCE.replace("−", "-")


def test_an_export_adds_to_what_is_there(tmp_path: Path) -> None:
    export(stored(tmp_path / "a", ["promptir"]), tmp_path / "kept")
    export(stored(tmp_path / "b", ["spm"]), tmp_path / "kept")
    with (tmp_path / "kept/rows.csv").open() as file:
        methods = {line["method"] for line in csv.DictReader(file)}
    assert methods == {"degraded-input", "promptir", "spm"}
    first = (tmp_path / "kept/rows.csv").read_bytes()
    plan = make_plan(["spm"], "three-task", "smoke", [0, 1], (), tmp_path / "b")
    export(plan, tmp_path / "kept")
    assert (tmp_path / "kept/rows.csv").read_bytes() == first


def test_damaged_results_are_refused_by_name(tmp_path: Path) -> None:
    plan = make_plan(["promptir"], "three-task", "smoke", [0, 1], (), tmp_path / "b")
    with pytest.raises(UsageError, match=r"no rows\.csv there"):
        take(plan, tmp_path)
    export(stored(tmp_path / "a"), tmp_path)
    (path,) = (tmp_path / "runs").glob("promptir-s1-*")
    content = json.loads(path.read_text())
    content["spec"]["seed"] = 7
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="does not hold what its name says"):
        take(plan, tmp_path)
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="does not have the columns"):
        take(plan, tmp_path)


def test_ablate_prints_and_writes_its_tables(tmp_path: Path, harness_command: Run) -> None:
    study = write_study(tmp_path)
    common = ("ablate", "--recipe", "smoke", "--study", study, "--out", str(tmp_path / "out"))
    plan = harness_command(*common, "--dry-run")
    assert plan.stdout.count("missing") == 2
    assert "about" in plan.stdout
    done = harness_command(*common)
    assert done.returncode == 0, done.stderr
    assert "over photographs of this one training" in " ".join(done.stdout.split())
    suffixes = {p.suffix for p in (tmp_path / "out/tables").glob("ablation-mine-k-smoke.*")}
    assert suffixes == {".csv", ".md", ".tex", ".png", ".pdf"}
    # The same runs are those of run.
    run = harness_command(
        *("run", "--recipe", "smoke", "--methods", "spm", "--out", str(tmp_path / "out"))
    )
    assert "trained" not in run.stderr
    tables = json.loads(harness_command(*common, "--json").stdout)
    (found,) = tables
    assert [line["label"] for line in found["lines"]] == ["1", "2"]
    refused = harness_command(*common, "--spread", "seeds")
    assert refused.returncode == 2
    assert "give --seeds 0,1,2" in refused.stderr
