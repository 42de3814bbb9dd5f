"""Summaries, tables as text, LaTeX through a real pdflatex, and the prompt report."""

from __future__ import annotations

import dataclasses
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.api import check_table
from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_setting, setting_names
from harness.config.settings import Setting
from harness.evaluation.metrics import metric_facts
from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest
from harness.published.tables import AVERAGE
from harness.reporting.apart import Apart
from harness.reporting.benchmark_table import benchmark_table, benchmark_table_of
from harness.reporting.columns import EXTRA_COLUMNS
from harness.reporting.frames import results_frame
from harness.reporting.prompt_report import COLLAPSED_NOTE, RunPrompts, prompt_notes, report_of
from harness.reporting.renderers.latex_text import escape
from harness.reporting.renderers.latex_text import value as latex_value
from harness.reporting.summary import (
    MethodRow,
    Summary,
    SummaryRequest,
    summarise,
)
from harness.reporting.table_files import table_stem
from harness.store.files import write_json
from harness.store.results import RESULT_FIELDS, Result, append, read
from tests.latex import compiled, installed
from tests.made_results import result_of

NASTY = r"a_b%c&d#e {f}g\h ~i^j |k<l>$m"


def request(setting: Setting, **changes: object) -> SummaryRequest:
    plain = SummaryRequest(
        title="A title with 100% & more_",
        setting="three-task",
        images_are="synthetic data",
        data_sets={column.name: "synthetic" for column in setting.columns},
        preprocessing="prep",
        protocol="prot",
        recipe="mini_x",
        columns=setting.columns,
        metrics=(metric_facts("psnr_rgb"), metric_facts("ssim_rgb_uniform7")),
        methods=(
            MethodRow("input", "Degraded input", reference=True, is_input=True, runs=1),
            MethodRow("a", "A", reference=False),
            MethodRow("b", NASTY, reference=False, notes=("a note", "another_note")),
            MethodRow("c", "C", reference=False, notes=("a note",)),
        ),
        seeds=(0, 1),
        images={c.name: ("x#0", "y#0") for c in setting.columns},
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def rows_for(setting: Setting) -> list[Result]:
    """PSNR of method a is 30 + seed, of b 31 + seed, of c 29 + seed, plus 2 on image y."""
    found = []
    for method, base in (("input", 20.0), ("a", 30.0), ("b", 31.0), ("c", 29.0)):
        for seed in (0,) if method == "input" else (0, 1):
            for column in setting.columns:
                for image, more in (("x#0", 0.0), ("y#0", 2.0)):
                    for metric, value in (
                        ("psnr_rgb", base + seed + more),
                        ("ssim_rgb_uniform7", base / 100),
                    ):
                        found.append(
                            Result(
                                f"w-{method}-{seed}",
                                "s",
                                method,
                                seed,
                                "three-task",
                                "synthetic",
                                column.name,
                                image,
                                metric,
                                "prep",
                                "prot",
                                value,
                            )
                        )
    return found


def table_for(setting: Setting) -> Summary:
    return summarise(rows_for(setting), request(setting))


def terminal(summary: Summary, colour: bool = False) -> str:
    return benchmark_table_of(summary).to_text(colour)


def markdown(summary: Summary) -> str:
    return benchmark_table_of(summary).to_markdown()


def latex(summary: Summary) -> str:
    return benchmark_table_of(summary).to_latex()


def csv(summary: Summary) -> str:
    return benchmark_table_of(summary).to_csv()


def test_values_spread_and_ranks(setting: Setting) -> None:
    table = table_for(setting)
    entry = table.entry("a", "derain", "psnr_rgb")
    assert entry is not None
    assert entry.value == pytest.approx(31.5)
    assert entry.spread == pytest.approx(np.std([31, 32], ddof=1))
    assert (entry.scored, entry.expected, entry.rank) == (4, 4, 2)
    ranks = {m: table.entry(m, "derain", "psnr_rgb") for m in ("input", "a", "b", "c")}
    assert [e.rank if e else None for e in ranks.values()] == [None, 2, 1, None]
    average = table.entry("b", AVERAGE, "psnr_rgb")
    assert average is not None
    assert average.value == pytest.approx(32.5)


def test_order_of_rows_changes_nothing(setting: Setting) -> None:
    rows = rows_for(setting)
    random.Random(0).shuffle(rows)
    assert csv(summarise(rows, request(setting))) == csv(table_for(setting))


def test_missing_is_never_zero_and_never_a_smaller_average(setting: Setting) -> None:
    rows = [r for r in rows_for(setting) if not (r.method == "b" and r.column == "dehaze")]
    table = summarise(rows, request(setting))
    assert table.entry("b", "dehaze", "psnr_rgb") is None
    assert table.entry("b", AVERAGE, "psnr_rgb") is None
    average = table.entry("a", AVERAGE, "psnr_rgb")
    assert average is not None
    assert average.rank == 1
    assert "--" in terminal(table)


def test_incomplete_columns_say_so_and_are_not_ranked(setting: Setting) -> None:
    rows = [
        r
        for r in rows_for(setting)
        if not (r.method == "b" and r.column == "dehaze" and r.image == "y#0" and r.seed == 1)
    ]
    table = summarise(rows, request(setting))
    entry = table.entry("b", "dehaze", "psnr_rgb")
    assert entry is not None
    assert (entry.scored, entry.expected, entry.rank) == (3, 4, None)
    assert table.entry("b", AVERAGE, "psnr_rgb") is None
    assert "(3/4)" in markdown(table)


def test_equal_shown_digits_share_the_rank(setting: Setting) -> None:
    rows = [
        dataclasses.replace(r, value=31.0000001 + r.seed + 2 * (r.image == "y#0"))
        if r.method == "a" and r.metric == "psnr_rgb"
        else r
        for r in rows_for(setting)
    ]
    table = summarise(rows, request(setting))
    ranks = [table.entry(m, "derain", "psnr_rgb") for m in "abc"]
    assert [e.rank if e else None for e in ranks] == [1, 1, None]


def changed(results: list[Result], method: str, value: float, **where: object) -> list[Result]:
    """Return the results with the PSNR of a method on image x#0 of seed 1 replaced."""
    place = {"column": "derain", "image": "x#0", "metric": "psnr_rgb", "seed": 1, **where}
    found = []
    for row in results:
        is_meant = row.method == method and all(getattr(row, k) == v for k, v in place.items())
        found.append(dataclasses.replace(row, value=value) if is_meant else row)
    return found


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_what_is_not_finite_is_never_ranked_or_averaged(
    value: float, shown: str, setting: Setting
) -> None:
    found = summarise(changed(rows_for(setting), "b", value), request(setting))
    entry = found.entry("b", "derain", "psnr_rgb")
    assert entry is not None
    assert str(entry.value) == shown
    assert (entry.rank, entry.spread, entry.is_whole) == (None, None, False)
    assert entry.not_finite == (f"x#0, seed 1 ({shown})",)
    assert found.entry("b", AVERAGE, "psnr_rgb") is None, "an average of a part is none"
    other = found.entry("a", "derain", "psnr_rgb")
    assert other is not None
    assert other.rank == 1, "the best of those that are finite"
    table = benchmark_table_of(found)
    note = f"not finite on 1 of 4 images: x#0, seed 1 ({shown})"
    assert table.warnings == (f"{NASTY}, Derain, PSNR: {note}",)
    for text in (table.to_text(), table.to_text(colour=True)):
        assert note in " ".join(text.split())
        assert f"{shown}*" not in text
    assert f"**{shown}**" not in table.to_markdown()
    assert rf"\textbf{{{shown}}}" not in table.to_latex()
    assert f"b,derain,psnr_rgb,{shown}," in table.to_csv()


def test_images_are_named_up_to_five(setting: Setting) -> None:
    many = [f"i{n}#0" for n in range(9)]
    results = []
    for row in rows_for(setting):
        if row.image == "x#0":
            results += [dataclasses.replace(row, image=name, value=np.nan) for name in many]
    asked = request(setting, images={c.name: many for c in setting.columns})
    table = benchmark_table_of(summarise(results, asked))
    assert "not finite on 18 of 18 images" in table.warnings[-1]
    assert "and 13 more" in table.warnings[-1]


def test_not_finite_results_are_stored_as_they_are(setting: Setting, tmp_path: Path) -> None:
    results = rows_for(setting)[:3]
    values = (np.nan, np.inf, -np.inf)
    broken = [dataclasses.replace(r, value=float(v)) for r, v in zip(results, values, strict=True)]
    append(tmp_path / "results.jsonl", broken)
    assert [str(row.value) for row in read([tmp_path / "results.jsonl"])] == ["nan", "inf", "-inf"]


def test_what_is_worse_than_the_degraded_input_is_not_marked(setting: Setting) -> None:
    results = []
    for row in rows_for(setting):
        value = (
            row.value + 11.5 if row.method == "input" and row.metric == "psnr_rgb" else row.value
        )
        results.append(dataclasses.replace(row, value=value))
    found = summarise(results, request(setting))
    ranks = [found.entry(m, "derain", "psnr_rgb") for m in "abc"]
    assert [e.rank if e else None for e in ranks] == [None, 1, None]
    assert found.entry("input", "derain", "psnr_rgb").value == 32.5  # type: ignore[union-attr]


def with_ssim(setting: Setting, values: dict[str, float]) -> Summary:
    """Return a summary of methods with one value of SSIM in every column."""
    results = []
    for row in rows_for(setting):
        if row.metric == "ssim_rgb_uniform7" and row.method in values:
            results.append(dataclasses.replace(row, value=values[row.method]))
    return summarise(results, request(setting, metrics=(metric_facts("ssim_rgb_uniform7"),)))


@pytest.mark.parametrize(
    ("values", "not_told", "marks"),
    [
        ({"a": 0.9124, "b": 0.9119, "c": 0.9112}, "", {"a": 1, "b": 1, "c": None}),
        ({"a": 0.9134, "b": 0.9124, "c": 0.9111}, "", {"a": 1, "b": 2, "c": None}),
        ({"a": 0.9134, "b": 0.9124, "c": 0.9119}, "", {"a": 1, "b": 2, "c": 2}),
        ({"a": 0.9134, "b": 0.9124, "c": 0.9111}, "b", {"a": 1, "b": None, "c": None}),
        # Of c nothing was tested, and it prints the digits of b.
        ({"a": 0.9134, "b": 0.9124, "c": 0.9119}, "c", {"a": 1, "b": None, "c": None}),
        ({"a": 0.9144, "b": 0.9126, "input": 0.9128}, "", {"a": 1, "b": 2}),
        ({"a": 0.9134, "b": 0.9124, "input": 0.9129}, "", {"a": 1, "b": None}),
    ],
)
def test_narrow_tables_mark_by_the_digits_that_they_print(
    values: dict[str, float], not_told: str, marks: dict[str, int | None], setting: Setting
) -> None:
    found = with_ssim(setting, values)
    apart = None
    if not_told:
        seconds = {key for key, entry in found.entries.items() if entry.rank == 2}
        told = {key for key in seconds if key[0] != not_told}
        apart = Apart("images", frozenset(seconds), frozenset(told), frozenset())
    table = benchmark_table_of(found, apart=apart)
    labels = {row.id: row.label for row in found.request.methods}
    for method, rank in marks.items():
        (row,) = [row for row in table.table.rows if row.label == labels[method]]
        for column in found.request.column_names:
            cell = row.cells[column, "ssim_rgb_uniform7"].narrow
            assert (cell.text.partition("±")[0], cell.rank) == (f"{values[method]:.3f}", rank)
    columns = len(found.request.column_names)
    for style in (None, "cvpr"):
        text = table.to_latex(style)
        for command, rank in ((r"\textbf", 1), (r"\underline", 2)):
            marked = [values[method] for method, own in marks.items() if own == rank]
            for value in marked:
                shown = rf"{command}{{{value:.3f}}}"
                alike = [other for other in marked if f"{other:.3f}" == f"{value:.3f}"]
                assert text.count(shown) == columns * len(alike)


def test_a_method_with_one_of_two_seeds_is_incomplete(setting: Setting) -> None:
    results = [row for row in rows_for(setting) if row.method != "b" or row.seed == 0]
    entry = summarise(results, request(setting)).entry("b", "derain", "psnr_rgb")
    assert entry is not None
    assert (entry.scored, entry.expected, entry.rank) == (2, 4, None)


def test_chosen_columns_are_shown_and_averaged(setting: Setting) -> None:
    columns = tuple(c for c in setting.columns if c.name in ("derain", "dehaze"))
    asked = request(
        setting,
        columns=columns,
        images={c.name: ("x#0", "y#0") for c in columns},
        left_out=("σ=15", "σ=25", "σ=50"),
    )
    results = changed(rows_for(setting), "a", 99.0, column="denoise15")
    table = benchmark_table_of(summarise(results, asked))
    average = table.summary.entry("a", AVERAGE, "psnr_rgb")
    assert average is not None
    assert average.value == pytest.approx(31.5), "other columns are in no average"
    text = " ".join(table.to_text().split())
    assert "mean of the columns shown, which were chosen; without σ=15, σ=25, σ=50" in text
    part = request(setting, absent={"dehaze": "sots-outdoor"})
    text = " ".join(benchmark_table_of(summarise([], part)).to_text().split())
    assert "--columns denoise15,denoise25,denoise50,derain averages those" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_row_is_wider_than_the_terminal(width: int, setting: Setting) -> None:
    table = benchmark_table_of(table_for(setting))
    for colour in (False, True):
        text = re.sub(r"\x1b\[[0-9]+m", "", table.to_text(colour, width))
        assert max(map(len, text.splitlines())) <= max(width, 54)
    heads = [x for x in table.to_text(width=width).splitlines() if "PSNR / SSIM" in x and "│" in x]
    shown = " ".join(heads).replace("│", " ").split()
    for column in setting.columns:
        assert shown.count(column.label) == 1, "each column stands once"


def test_two_protocols_are_never_mixed(setting: Setting) -> None:
    rows = rows_for(setting)
    rows[5] = dataclasses.replace(rows[5], protocol="other")
    with pytest.raises(HarnessError, match="protocol 'other' stand among those of 'prot'"):
        summarise(rows, request(setting))


def test_two_data_sets_are_never_mixed_in_a_column(setting: Setting) -> None:
    results = rows_for(setting)
    of_column = [
        dataclasses.replace(r, data_set="Rain100L") for r in results if r.column == "derain"
    ]
    others = [r for r in results if r.column != "derain"]
    data_sets = {**request(setting).data_sets, "derain": "Rain100L"}
    found = summarise([*others, *of_column], request(setting, data_sets=data_sets))
    assert found.entry("a", "derain", "psnr_rgb") is not None
    with pytest.raises(HarnessError, match="data set 'Rain100L' stand among those of 'synthetic'"):
        summarise([*others, *of_column], request(setting))


def test_two_values_of_one_image_are_refused_and_equal_ones_counted_once(setting: Setting) -> None:
    rows = rows_for(setting)
    assert csv(summarise([*rows, rows[0]], request(setting))) == csv(table_for(setting))
    with pytest.raises(HarnessError, match="two values of psnr_rgb on x#0"):
        summarise([*rows, dataclasses.replace(rows[0], value=1.0)], request(setting))


def test_no_rows_give_an_empty_table(setting: Setting) -> None:
    assert summarise([], request(setting)).entries == {}


def test_terminal_and_markdown_mark_best_and_second(setting: Setting) -> None:
    table = table_for(setting)
    coloured, plain, text = terminal(table, True), terminal(table), markdown(table)
    assert "\x1b[1m32.50±0.71\x1b[0m" in coloured
    assert "\x1b[4m31.50±0.71\x1b[0m" in coloured
    assert "\x1b" not in plain
    assert "32.50±0.71*" in plain
    assert "**32.50±0.71**" in text
    assert "<u>31.50±0.71</u>" in text
    assert "synthetic data" in plain.replace("\n", " ")
    body = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in body}) == 1


def test_latex_has_marks_and_escapes(setting: Setting) -> None:
    text = latex(table_for(setting))
    assert r"\textbf{32.50}{\tiny$\pm$0.71}" in text
    assert r"\underline{31.50}{\tiny$\pm$0.71}" in text
    assert r"\multicolumn{3}{c}{Denoising}" in text
    assert r"a\_b\%c\&d\#e " in text
    assert r"\{f\}g\textbackslash{}h" in text
    lines = text.splitlines()
    first = next(place for place, line in enumerate(lines) if "Degraded &" in line)
    assert lines[first + 1].strip().startswith("input & "), "PSNR and SSIM stand together"


@given(text=st.text(max_size=60))
def test_escaping_leaves_no_special_character(text: str) -> None:
    rest = escape(text)
    for command in (
        r"\textbackslash{}",
        r"\textasciitilde{}",
        r"\textasciicircum{}",
        "$^{",
        r"\textless{}",
        r"\textgreater{}",
        r"\textbar{}",
        "{}-",
    ):
        rest = rest.replace(command, "")
    assert not re.search(r"(?<!\\)[%&#_]", rest)
    assert "\n" not in rest


def document(text: str, preamble: str) -> str:
    """Return a document that holds ``text`` and needs booktabs alone."""
    return f"{preamble}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{text}\\end{{document}}\n"


TWO_COLUMNS = r"\documentclass[10pt,twocolumn]{article}"
IEEETRAN = r"\documentclass[10pt,conference]{IEEEtran}"


@pytest.mark.parametrize("preamble", [TWO_COLUMNS, IEEETRAN], ids=["article", "IEEEtran"])
def test_every_main_table_fits_its_column(preamble: str, tmp_path: Path) -> None:
    if "IEEEtran" in preamble and not installed("IEEEtran.cls"):
        pytest.skip("IEEEtran is not installed (Debian: texlive-publishers)")
    texts = []
    for name in setting_names():
        setting = load_setting(name)
        results = [dataclasses.replace(row, setting=name) for row in rows_for(setting)]
        asked = dataclasses.replace(request(setting), setting=name, title=setting.title)
        texts.append(latex(summarise(results, asked)))
        one = [row for row in results if row.seed == 0]
        methods = tuple(dataclasses.replace(row, runs=1) for row in asked.methods)
        alone = dataclasses.replace(asked, seeds=(0,), methods=methods)
        texts.append(latex(summarise(one, alone)))
    compiled(document("".join(texts), preamble), tmp_path)


@pytest.mark.parametrize("name", ["three-task", "composite"])
def test_latex_compiles_as_it_is(name: str, tmp_path: Path) -> None:
    setting = load_setting(name)
    extra = dataclasses.replace(metric_facts("psnr_y601"), id="pyiqa:lpips", label="LPIPS_x")
    metrics = (*request(setting).metrics, extra)
    rows = rows_for(setting)
    rows += [
        dataclasses.replace(r, metric="pyiqa:lpips", value=0.1)
        for r in rows
        if r.metric == "psnr_rgb"
    ]
    table = summarise(rows, request(setting, metrics=metrics))
    compiled(document(latex(table), r"\documentclass{article}"), tmp_path)


def test_latex_drops_columns_without_values_and_keeps_other_scripts(setting: Setting) -> None:
    results = [row for row in rows_for(setting) if row.column != "dehaze"]
    asked = request(setting, methods=(MethodRow("a", "去雾", False), MethodRow("c", "C", False)))
    text = latex(summarise(results, asked))
    assert "Dehaze" not in text.partition(r"\end{tabular}")[0]
    assert "Average" not in text.partition("Images scored")[0], "all averages are missing"
    assert "去雾" in text
    assert "XeLaTeX" in text.splitlines()[1]
    assert "XeLaTeX" not in latex(table_for(setting))


def test_a_minus_is_a_minus() -> None:
    assert latex_value("-0.12 [-0.30, +0.10]") == "$-$0.12 [$-$0.30, +0.10]"
    assert latex_value("a-1") == "a-1"


# --- prompts ---------------------------------------------------------------------------


def prompts(expert_load: dict[str, dict[str, list[float]]], collapsed: bool) -> dict[str, object]:
    return {
        "tasks": ["x", "y"],
        "expert_load": expert_load,
        "psnr_db": [],
        "prompt_swap_gap_db": 1.5,
        "collapsed": collapsed,
    }


def test_a_collapse_is_reported() -> None:
    run = RunPrompts("c", {"prompts": prompts({"level1": {"x": [1, 0], "y": [1, 0]}}, True)})
    assert prompt_notes([run])[0].startswith("prompts collapsed")
    report = report_of([run])
    assert "COLLAPSED" in report
    assert "+1.50 dB" in report


def test_notes_of_some_seeds_say_which() -> None:
    loads = {"level1": {"x": [1.0, 0.0], "y": [1.0, 0.0]}}
    runs = [
        RunPrompts(f"c seed {seed}", {"prompts": prompts(loads, collapsed)}, seed)
        for seed, collapsed in ((0, False), (1, True), (2, False))
    ]
    assert prompt_notes(runs) == [f"seed 1 of 3: {COLLAPSED_NOTE}"]
    assert prompt_notes(runs[1:2]) == [COLLAPSED_NOTE]
    assert prompt_notes(runs[1:2], trainings=3) == [f"seed 1 of 3: {COLLAPSED_NOTE}"]


def test_prompts_that_are_not_finite_are_reported_as_missing() -> None:
    nan = float("nan")
    content = prompts({"level1": {"x": [nan, nan], "y": [1.0, 0.0]}}, False)
    text = report_of([RunPrompts("c", {"prompts": {**content, "prompt_swap_gap_db": nan}})])
    assert "nan" not in text
    assert "--" in text


def test_a_weak_classifier_marks_the_row() -> None:
    run = RunPrompts(
        "c",
        {
            "classifiers": {"task-classifier": {"x": 0.95, "y": 0.75}},
            "prompts": prompts({"level1": {"x": [1, 0], "y": [0, 1]}}, False),
        },
    )
    assert prompt_notes([run]) == ["classifier below 0.9 on validation: y 0.75"]
    assert "x 0.95, y 0.75" in report_of([run])


# --- of a plan ---------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A plan whose runs have made-up results."""
    made = make_plan(RunRequest(methods=("promptir",), recipe="smoke", out=tmp_path / "out"))
    for run in made.runs:
        run.folder.path.mkdir(parents=True)
        results = [
            result_of(made, run, (column, image, metric), 20.0)
            for column, images in made.test.images_by_column().items()
            for image in images
            for metric in made.metrics
        ]
        append(run.folder.results, results)
        write_json(run.folder.provenance, {"parameters": 1_500_000, "wall_s": 90.0})
    return made


def test_a_table_is_text_data_frame_and_files(plan: Plan, tmp_path: Path) -> None:
    table = benchmark_table(plan)
    assert str(table) == table.to_text()
    assert "PromptIR" in str(table)
    frame = table.to_dataframe()
    own = frame[(frame["method"] == "promptir") & (frame["column"] == "derain")]
    assert set(own["data_set"]) == {"synthetic"}
    assert float(own[own["metric"] == "psnr_rgb"]["mean"].iloc[0]) == 20.0
    paths = table.write(tmp_path)
    assert [path.suffix for path in paths] == [".csv", ".md", ".tex"]
    assert {path.stem for path in paths} == {table.stem}
    assert table.stem.startswith("three-task-smoke-synthetic-")


def test_tables_of_other_content_have_other_names(plan: Plan, tmp_path: Path) -> None:
    stem = benchmark_table(plan).stem
    same = make_plan(plan.request)
    assert benchmark_table(same).stem == stem
    for changes in ({"seeds": (0, 1)}, {"methods": ("spm",)}, {"columns": ("derain",)}):
        other = make_plan(plan.request.model_copy(update=changes))
        assert benchmark_table(other).stem != stem


def test_long_names_still_differ(plan: Plan) -> None:
    """What a file system cuts off is never the part that tells two tables apart."""
    long = "a" * 300
    setting = plan.setting.model_copy(update={"name": long})
    one = dataclasses.replace(plan, setting=setting)
    stems = {table_stem(one, "11111111"), table_stem(one, "22222222")}
    assert len(stems) == 2
    named = dataclasses.replace(plan, request=plan.request.model_copy(update={"name": "b" * 300}))
    stems |= {table_stem(named, "1", "ablation-k"), table_stem(named, "1", "ablation-n")}
    assert len(stems) == 4
    assert all(len(stem.encode()) <= 160 for stem in stems)


def test_a_named_table_is_never_replaced_by_another(plan: Plan, tmp_path: Path) -> None:
    named = make_plan(plan.request.model_copy(update={"name": "../mine"}))
    paths = benchmark_table(named).write(tmp_path)
    assert {path.parent for path in paths} == {tmp_path}
    assert benchmark_table(named).write(tmp_path) == paths, "its own files are renewed"
    other = make_plan(named.request.model_copy(update={"columns": ("derain",)}))
    with pytest.raises(UsageError, match=r"holds another table.*--name"):
        benchmark_table(other).write(tmp_path)
    assert "σ=15" in paths[1].read_text()
    (named.out / "tables").mkdir()
    paths = benchmark_table(named).write(named.out / "tables")
    with pytest.raises(UsageError, match="holds another table"):
        check_table(other)
    check_table(named)


def test_a_column_that_does_not_exist_is_refused(plan: Plan) -> None:
    asked = plan.request.model_copy(update={"columns": ("derian",)})
    with pytest.raises(UsageError, match="no column 'derian'; did you mean 'derain'"):
        make_plan(asked)


def test_extra_columns_are_shown_when_asked_for(plan: Plan) -> None:
    table = benchmark_table(plan, extra=tuple(EXTRA_COLUMNS))
    for text in (table.to_text(), table.to_markdown(), table.to_latex()):
        assert "Params (M)" in text
        assert "1.50" in text
        assert "Training (min)" in text
    assert "Params" not in benchmark_table(plan).to_text()
    with pytest.raises(UsageError, match="did you mean 'parameters'"):
        benchmark_table(plan, extra=("parameter",))


def test_results_are_one_data_frame(plan: Plan, tmp_path: Path) -> None:
    frame = results_frame(plan.out)
    assert list(frame.columns) == list(RESULT_FIELDS)
    assert set(frame["method"]) == {"degraded-input", "promptir"}
    with pytest.raises(HarnessError, match="holds no results"):
        results_frame(tmp_path)
    write_json(tmp_path / "old/cells/x-s0-1/spec.json", {})
    with pytest.raises(HarnessError, match="--import"):
        results_frame(tmp_path / "old")
