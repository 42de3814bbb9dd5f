"""Names and digits that a request chooses for its tables."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from harness.api import check_table, plan, prompt_report, table
from harness.cli.table import split_style
from harness.config.errors import UsageError
from harness.config.quoting import split_named
from harness.planning.plan import Plan
from harness.reporting.wording import worded
from harness.store.results import append
from tests.made_results import result_of


@pytest.fixture
def stored(tmp_path: Path) -> Plan:
    made = plan(methods=["promptir"], recipe="smoke", out=tmp_path, columns=["derain"])
    run = next(run for run in made.runs if run.method.id == "promptir")
    run.folder.path.mkdir(parents=True)
    for column, images in made.test.images_by_column().items():
        for image in images:
            result = result_of(made, run, (column, image, "psnr_rgb"), 20.126)
            append(run.folder.results, [result])
    return made


def asked(made: Plan, **changes: object) -> Plan:
    return dataclasses.replace(made, request=made.request.model_copy(update=changes))


def test_labels_and_digits_are_those_of_the_request(stored: Plan) -> None:
    labels = {"promptir": "Ours", "derain": "Rain & more", "PSNR": "P"}
    text = str(table(asked(stored, labels=labels, decimals={"psnr": 1})))
    assert "Ours" in text
    assert "Rain & more" in text
    assert "P / SSIM" in text
    assert "20.1 " in text
    assert "20.13" in str(table(stored))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("cpl=CPL (ours)", ("cpl", "CPL (ours)")),
        ("cpl=a:b=c", ("cpl", "a:b=c")),
        ("cpl:top_k=3=CPL, k = 3", ("cpl:top_k=3", "CPL, k = 3")),
        ("cpl:top_k=3:cpr_weight=0=SPM", ("cpl:top_k=3:cpr_weight=0", "SPM")),
        ("spandrel:checkpoint='/a=b.pth'=Mine", ("spandrel:checkpoint='/a=b.pth'", "Mine")),
        (r"spandrel:checkpoint=C:\a.pth=Mine", (r"spandrel:checkpoint=C:\a.pth", "Mine")),
        ("cpl:top_k=3", None),
        ("=CPL", None),
        ("cpl", None),
    ],
)
def test_a_name_may_have_options(text: str, parts: tuple[str, str] | None) -> None:
    assert split_named(text) == parts


def test_options_of_a_name_stand_in_any_order(tmp_path: Path) -> None:
    made = plan(
        methods=["cpl:top_k=3:cpr_weight=0.5"],
        recipe="smoke",
        out=tmp_path,
        labels={"cpl:cpr_weight=0.5:top_k=3": "Ours", "derain": "Rain"},
    )
    assert "Ours" in str(table(made))
    with pytest.raises(UsageError, match="--label xyzxyz is no method") as refused:
        check_table(asked(made, labels={"xyzxyz": "Ours"}))
    known = str(refused.value).partition("known are ")[2].split(", ")
    assert len(known) == len(set(known))


def test_the_report_of_prompts_has_the_labels_of_the_request(stored: Plan) -> None:
    summary = {
        "prompts": {
            "tasks": ["denoise-15", "derain"],
            "expert_load": {"level1": {"denoise-15": [1.0, 0.0], "derain": [0.0, 1.0]}},
            "psnr_db": [[20.0, 18.0], [18.0, 20.0]],
            "prompt_swap_gap_db": 2.0,
            "collapsed": False,
        },
        "classifiers": {},
    }
    run = next(run for run in stored.runs if run.method.id == "promptir")
    run.folder.prompt_summary.write_text(json.dumps(summary), encoding="utf-8")
    assert "PromptIR seed 0" in prompt_report(stored)
    named = prompt_report(asked(stored, labels={"promptir": "Ours"}))
    assert "Ours seed 0" in named
    assert "PromptIR seed" not in named


def test_methods_that_are_labelled_alike_are_called_by_their_ids(stored: Plan) -> None:
    named = [dataclasses.replace(run.method, shown_as="A") for run in stored.runs]
    alike = zip(stored.runs, named, strict=True)
    runs = tuple(dataclasses.replace(run, method=method) for run, method in alike)
    shown = worded(dataclasses.replace(stored, runs=runs)).runs
    assert len({run.method.id for run in shown}) > 1
    assert all(run.method.label == run.method.id for run in shown)


def test_the_name_of_files_changes_only_where_something_is_chosen(stored: Plan) -> None:
    plain = table(stored).stem
    assert table(asked(stored, labels={})).stem == plain
    assert table(asked(stored, labels={"promptir": "Ours"})).stem != plain


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"promtir": "Ours"}}, "--label promtir .* did you mean 'promptir'"),
        ({"labels": {"cpl": "Ours"}}, "--label cpl is no method"),
        ({"decimals": {"psnrr": 2}}, "--decimals psnrr is no metric here; did you mean 'psnr"),
    ],
)
def test_what_no_table_shows_is_refused(
    stored: Plan, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_table(asked(stored, **changes))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"promptir": "Degraded input"}, "calls both degraded-input and promptir"),
        ({"derain": "σ=15"}, "calls both denoise15 and derain 'σ=15'; choose another text"),
        ({"derain": "Rain", "dehaze": "Rain"}, "calls both dehaze and derain 'Rain'"),
        ({"derain": "Average"}, "calls both derain and the average 'Average'"),
        ({"derain": "Params (M)"}, "calls both derain and parameters"),
        ({"psnr": "SSIM"}, "calls both psnr_rgb and ssim_rgb_uniform7 'SSIM'"),
        ({"psnr_rgb": "Q", "SSIM": "Q"}, "calls both psnr_rgb and ssim_rgb_uniform7 'Q'"),
    ],
)
def test_no_two_of_a_kind_get_one_label(stored: Plan, labels: dict[str, str], message: str) -> None:
    whole = asked(stored, columns=(), show=("parameters",), labels=labels)
    with pytest.raises(UsageError, match=re.escape(message)):
        check_table(whole)


@pytest.mark.parametrize(
    "labels",
    [
        {"promptir": "SSIM", "derain": "PSNR", "psnr": "PromptIR"},
        {"derain": "Dehaze", "dehaze": "Derain"},
        {"derain": "σ=15"},
        {"derain": "Params (M)"},
    ],
    ids=["of other kinds", "exchanged", "of a column that is not shown", "of no column here"],
)
def test_labels_that_tell_all_that_is_shown_apart_are_taken(
    stored: Plan, labels: dict[str, str]
) -> None:
    columns = () if "dehaze" in labels else ("derain",)
    check_table(asked(stored, columns=columns, labels=labels))


def test_columns_that_are_alike_by_themselves_stay_so(stored: Plan) -> None:
    columns = tuple(
        column.model_copy(update={"label": "x"}) if column.task.startswith("denoise") else column
        for column in stored.test.columns
    )
    test = stored.test.model_copy(update={"columns": columns})
    alike = dataclasses.replace(asked(stored, columns=()), test=test)
    check_table(asked(alike, labels={"derain": "Rain"}))
    with pytest.raises(UsageError, match="calls both denoise50 and derain 'x'"):
        check_table(asked(alike, labels={"derain": "x"}))


@pytest.mark.parametrize("text", ["", " ", "   "])
def test_a_label_shows_something(text: str) -> None:
    with pytest.raises(UsageError, match=r"--label derain= has .*; write one behind ="):
        plan(methods=["promptir"], recipe="smoke", labels={"derain": text})


def test_blanks_around_a_label_are_none_of_it(tmp_path: Path) -> None:
    made = plan(methods=["promptir"], recipe="smoke", out=tmp_path, labels={"derain": " Rain "})
    assert made.request.labels == {"derain": "Rain"}
    with pytest.raises(UsageError, match="calls both dehaze and derain 'Rain'"):
        check_table(
            plan(recipe="smoke", out=tmp_path, labels={"derain": "Rain ", "dehaze": "Rain"})
        )


@pytest.mark.parametrize("text", ["rows", "paper", "cvpr", "paper,ieee", " plain , rows "])
def test_style_names_a_content_and_a_page(text: str) -> None:
    assert split_style(text) == [part.strip() for part in text.split(",")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("papers", "did you mean 'paper'"),
        ("ieee,cvpr", "asks for ieee and cvpr"),
        ("rows,paper", "asks for rows and paper"),
        ("", "unknown"),
    ],
)
def test_what_style_cannot_mean_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        split_style(text)
