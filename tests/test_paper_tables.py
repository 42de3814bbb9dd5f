"""Tables as papers lay them out: cited rows, own rows, ranks, differences, notes, LaTeX."""

from __future__ import annotations

import csv as csv_format
import dataclasses
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.errors import UsageError
from harness.config.files import load_data_set, load_setting
from harness.config.hashing import spec_hash
from harness.config.settings import Column
from harness.evaluation.metrics import metric_facts
from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest
from harness.published.reading import load_published
from harness.published.tables import AVERAGE, CitedColumn, CitedRow, CitedTable
from harness.reporting.paper_row import PaperRow
from harness.reporting.paper_table import (
    DELTA,
    NOTHING_MEASURED,
    VENUE,
    PaperTable,
    paper_table,
    paper_table_of,
)
from harness.reporting.summary import Entry, MethodRow, Summary, SummaryRequest
from harness.store.results import Result, append
from tests.latex import compiled

DATA_SETS = {"a": "synthetic", "b": "synthetic"}
NASTY = r"N_a%m&e#{1}\x~^|<>$*[b]"


def row(method: str, column: str, metric: str, value: str, **changes: object) -> CitedRow:
    plain = CitedRow(
        source="src",
        table="T",
        setting="small",
        column=column,
        dataset={"a": "DA", "b": "DB"}.get(column, "Average"),
        method=method,
        method_id={"One": "one", "Two": "two"}.get(method, ""),
        printed_method=method,
        venue="",
        type="",
        starred=False,
        params="",
        metric=metric,
        value=Decimal(value),
        average="printed" if column == AVERAGE else "",
        protocol="",
        note="",
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def cited(**changes: object) -> CitedTable:
    """Two columns and two metrics; the average of Two is wrong, Three lacks a column."""
    general, new = {"type": "General"}, {"type": "All-in-One", "venue": "V'25"}
    plain = CitedTable(
        source="src",
        table="T",
        setting="small",
        title="A small table",
        reference="a paper/with_files",
        protocol="as they like",
        columns=(CitedColumn("a", "DA", "Group", "σ=1"), CitedColumn("b", "DB", "Group", "LB")),
        rows=(
            row("One", "a", "psnr", "30.00", **general),
            row("One", "b", "psnr", "20.00", note="one digit slipped", **general),
            row("One", AVERAGE, "psnr", "25.00", **general),
            row("One", "a", "lpips", "0.30", **general),
            row("Two", "a", "psnr", "31.00", starred=True, **new),
            row("Two", "b", "psnr", "22.00", starred=True, **new),
            row("Two", AVERAGE, "psnr", "27.00", starred=True, **new),
            row("Two", "a", "lpips", "0.20", starred=True, **new),
            row(NASTY, "a", "psnr", "31.00", **general),
        ),
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def own(*methods: tuple[str, float, int | None], **changes: object) -> Summary:
    """Methods as (id, average of PSNR, rank); column a is one above it, b one below."""
    request = SummaryRequest(
        title="t",
        setting="small",
        images_are="synthetic data",
        data_sets=DATA_SETS,
        preprocessing="prep",
        protocol="prot",
        recipe="mini",
        columns=tuple(
            Column(name=n, task="t", label=n, latex_label=n, group="g", draws=1) for n in "ba"
        ),
        metrics=(metric_facts("psnr_y601"),),
        methods=tuple(MethodRow(m, f"Own {m}", False) for m, _, _ in methods),
        seeds=(0,),
        images={"a": ("x",), "b": ("x",)},
    )
    entries = {
        (m, column, "psnr_y601"): Entry(value + more, None, 1, 1, 1, rank)
        for m, value, rank in methods
        for column, more in (("a", 1.0), ("b", -1.0), (AVERAGE, 0.0))
    }
    return Summary(dataclasses.replace(request, **changes), entries)  # type: ignore[arg-type]


def line(table: PaperTable, origin: str, method: str) -> PaperRow:
    (part,) = [p for p in table.parts if p.origin == origin]
    return next(x for x in part.rows if x.method == method)


def keys(table: PaperTable) -> list[str]:
    return [column.key for column in table.table.columns]


def ranks(table: PaperTable, column: str, metric: str = "psnr") -> dict[str, int | None]:
    lines = table.parts[0].rows
    found = {x.method: x.values.get((column, metric)) for x in lines}
    return {method: run.rank for method, run in found.items() if run is not None}


def test_best_and_second_by_direction_and_with_ties() -> None:
    table = paper_table(cited())
    assert ranks(table, "a") == {"One": None, "Two": 1, NASTY: 1}, "two bests leave no second"
    assert ranks(table, "b") == {"One": 2, "Two": 1}
    assert ranks(table, "a", "lpips") == {"One": 2, "Two": 1}, "lower LPIPS is better"
    alone = tuple(r for r in cited().rows if r.method == "One")
    assert ranks(paper_table(cited(rows=alone)), "a") == {"One": None}


@given(values=st.lists(st.integers(2000, 2005), min_size=2, max_size=8))
def test_ranks_are_those_of_the_printed_digits(values: list[int]) -> None:
    rows = tuple(
        row(f"M{i}", "a", "psnr", f"{value // 100}.{value % 100:02}")
        for i, value in enumerate(values)
    )
    found = ranks(paper_table(cited(rows=rows)), "a")
    best = max(values)
    second = [v for v in values if v < best]
    for i, value in enumerate(values):
        expected = 1 if value == best else None
        if values.count(best) == 1 and second and value == max(second):
            expected = 2
        assert found[f"M{i}"] == expected


def test_own_rows_change_nothing_of_the_cited_part() -> None:
    alone = paper_table(cited())
    both = paper_table(cited(), own(("one", 90.0, 1)), own(("two", 95.0, None)))
    assert alone.parts[0] == both.parts[0]
    assert [part.origin for part in both.parts] == ["cited", "re-evaluated", "measured"]
    assert alone.table.remarks == (NOTHING_MEASURED,)
    assert NOTHING_MEASURED not in both.table.remarks
    assert "synthetic data" in both.parts[2].detail
    assert "synthetic data" in both.parts[1].detail
    assert any("synthetic data" in remark for remark in both.table.remarks)
    real = paper_table(
        cited(), own(("one", 90.0, 1), images_are="real images", data_sets={"a": "CBSD68"})
    )
    assert "synthetic" not in real.to_text()


def table_one() -> CitedTable:
    return next(table for table in load_published() if (table.source, table.table) == ("cpl", "I"))


def of_papers(
    values: dict[str, float], metrics: tuple[str, ...] = ("psnr_rgb",), **changes: object
) -> Summary:
    """Methods with one value in every column of the three-task setting, on the papers' images."""
    setting = load_setting("three-task")
    request = SummaryRequest(
        title="t",
        setting="three-task",
        images_are="images of data sets on disk",
        data_sets={
            source.column: load_data_set(source.set).label for source in setting.test_sources
        },
        preprocessing=setting.preprocessing.id,
        protocol=setting.protocol.id,
        recipe="full",
        columns=setting.columns,
        metrics=tuple(map(metric_facts, metrics)),
        methods=tuple(MethodRow(method, f"Own {method}", False) for method in values),
        seeds=(0,),
        images={
            source.column: [str(n) for n in range(load_data_set(source.set).expected.pairs or 0)]
            for source in setting.test_sources
        },
    )
    request = dataclasses.replace(request, **changes)  # type: ignore[arg-type]
    entries = {}
    for method, value in values.items():
        for column in request.column_names:
            for metric in request.metrics:
                entries[method, column, metric.id] = Entry(value, None, 1, 1, 1)
    return Summary(request, entries)


def test_the_difference_is_measured_minus_cited_of_the_same_method() -> None:
    measured = of_papers({"promptir": 31.9365, "airnet:width=3": 30.0, "new": 28.0})
    table = paper_table(table_one(), measured)
    assert line(table, "measured", "Own promptir").delta == {"psnr": "-0.12"}
    assert line(table, "measured", "Own promptir").notes == ()
    for other in ("Own airnet:width=3", "Own new"):
        row = line(table, "measured", other)
        assert (row.delta, row.notes) == ({}, ()), "a variant is not what was published"
    assert line(table, "measured", "Own promptir").values["derain", "psnr"].text == "31.94"
    assert DELTA in keys(table)
    assert DELTA not in keys(paper_table(table_one(), of_papers({"new": 1.0})))
    released = paper_table(table_one(), None, of_papers({"promptir#0123abc": 32.56}))
    assert line(released, "re-evaluated", "Own promptir#0123abc").delta == {"psnr": "+0.50"}
    stream = of_papers({"promptir": 32.0}, preprocessing="crop16-uint8-published-stream")
    assert line(paper_table(table_one(), stream), "measured", "Own promptir").delta


def test_differences_are_written_in_every_form() -> None:
    table = paper_table(table_one(), of_papers({"promptir": 31.9365}))
    assert "│ -0.12 / -- │" in re.sub(" +", " ", table.to_text())
    latex = table.to_latex()
    assert r"$-0.12$" in latex
    assert r"$\Delta$: the average" in latex
    lines = list(csv_format.DictReader(io.StringIO(table.to_csv())))
    (of_delta,) = [x for x in lines if x["column"] == "average minus cited"]
    assert (of_delta["method"], of_delta["value"]) == ("Own promptir", "-0.12")


THREE_TASK = load_setting("three-task")
SYNTHETIC = {column.name: "synthetic" for column in THREE_TASK.columns}
FIRST_TEN = {column.name: [str(n) for n in range(10)] for column in THREE_TASK.columns}


@pytest.mark.parametrize(
    ("method", "changes", "reason"),
    [
        ("promptir", {"data_sets": SYNTHETIC}, "images of σ=15 are synthetic, not CBSD68"),
        ("promptir", {"images": FIRST_TEN}, "σ=15 has 10 images, not 68"),
        ("promptir", {"preprocessing": "crop16-uint8-centre-192"}, "the preprocessing is crop16-"),
        ("promptir", {"setting": "of nobody"}, "are not known here"),
        ("promptir", {"protocol": "rgb-uint8-uniform7"}, "is of protocol rgb-float-uniform7"),
        ("promptir", {"metrics": ("psnr_y601",)}, "psnr_y601 is no metric of protocol rgb-float"),
        ("cpl", {}, "the protocol of the cited row is not stated"),
    ],
)
def test_what_was_scored_otherwise_has_no_difference(
    method: str, changes: dict[str, object], reason: str
) -> None:
    table = paper_table(table_one(), of_papers({method: 32.0}, **changes))  # type: ignore[arg-type]
    row = line(table, "measured", f"Own {method}")
    assert row.delta == {}
    assert reason in row.notes[-1]
    assert row.notes[-1].startswith("no Δ to the cited average: ")
    assert row.notes[-1] in " ".join(table.table.footnotes)
    assert DELTA not in keys(table)


def test_an_average_of_other_columns_has_no_difference() -> None:
    whole = table_one()
    fewer = [r for r in whole.rows if (r.method, r.column) != ("PromptIR", "derain")]
    cited_of_four = dataclasses.replace(whole, rows=tuple(fewer))
    row = line(
        paper_table(cited_of_four, of_papers({"promptir": 32.0})), "measured", "Own promptir"
    )
    assert row.delta == {}
    assert "the cited average is of other columns" in row.notes[-1]


@pytest.mark.parametrize("metrics", [("psnr_y601", "psnr_rgb"), ("psnr_rgb", "psnr_y601")])
def test_the_metric_of_the_protocol_stands_below_the_cited_one(metrics: tuple[str, ...]) -> None:
    measured = of_papers({"promptir": 32.0}, metrics)
    entries = {
        key: dataclasses.replace(entry, value=40.0) if key[2] == "psnr_y601" else entry
        for key, entry in measured.entries.items()
    }
    table = paper_table(table_one(), Summary(measured.request, entries))
    row = line(table, "measured", "Own promptir")
    assert {value.text for value in row.values.values()} == {"32.00"}
    assert row.notes == ()
    only = paper_table(table_one(), of_papers({"promptir": 40.0}, ("psnr_y601",)))
    assert "PSNR is psnr_y601" in line(only, "measured", "Own promptir").notes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"x": 0.9124, "y": 0.9119, "z": 0.9112}, {"x": 1, "y": 1, "z": None}),
        ({"x": 0.9134, "y": 0.9124, "z": 0.9119}, {"x": 1, "y": 2, "z": 2}),
        ({"x": 0.9134, "y": 0.9124}, {"x": 1, "y": 2}),
        ({"x": 0.9134}, {"x": None}),
    ],
)
def test_own_values_are_ranked_by_the_digits_that_the_table_prints(
    values: dict[str, float], expected: dict[str, int | None]
) -> None:
    """Table I prints SSIM with three decimals, and four are kept of what is measured."""
    table = paper_table(table_one(), of_papers(values, ("ssim_rgb_uniform7",)))
    for method, rank in expected.items():
        value = line(table, "measured", f"Own {method}").values[AVERAGE, "ssim"]
        assert (value.text, value.rank) == (f"{values[method]:.3f}", rank)


def test_what_prints_as_less_than_the_degraded_input_is_not_marked() -> None:
    measured = of_papers({"x": 0.9134, "y": 0.9124, "input": 0.9129}, ("ssim_rgb_uniform7",))
    rows = []
    for row in measured.request.methods:
        is_input = row.id == "input"
        rows.append(dataclasses.replace(row, reference=is_input, is_input=is_input))
    request = dataclasses.replace(measured.request, methods=tuple(rows))
    table = paper_table(table_one(), Summary(request, measured.entries))
    found = {}
    for method in ("x", "y", "input"):
        found[method] = line(table, "measured", f"Own {method}").values["derain", "ssim"].rank
    assert found == {"x": 1, "y": None, "input": None}


def test_incomplete_own_values_have_no_difference_and_say_so() -> None:
    measured = own(("one", 24.0, None))
    entries = {k: v for k, v in measured.entries.items() if k[1] != AVERAGE}
    entries["one", "a", "psnr_y601"] = Entry(25.0, None, 1, 2, 4)
    table = paper_table(cited(), Summary(measured.request, entries))
    assert line(table, "measured", "Own one").delta == {}
    assert "25.00 (2/4)" in table.to_text()


def test_methods_without_values_and_metrics_of_others_are_left_out() -> None:
    measured = own(("one", 24.0, None), ("two", 25.0, None))
    entries = {key: entry for key, entry in measured.entries.items() if key[0] == "one"}
    table = paper_table(cited(), Summary(measured.request, entries))
    assert [x.method for x in table.parts[1].rows] == ["Own one"]
    assert {metric for _, metric in table.parts[1].rows[0].values} == {"psnr"}
    empty = paper_table(cited(), Summary(measured.request, {}))
    assert len(empty.parts) == 1
    assert empty.table.remarks == (NOTHING_MEASURED,)


def test_columns_that_the_paper_lacks_come_behind_its_own() -> None:
    extra = Column(name="c", task="t", label="LC", latex_label="LC", group="g", draws=1)
    measured = own(("one", 24.0, None))
    request = dataclasses.replace(measured.request, columns=(extra, *measured.request.columns))
    table = paper_table(cited(), Summary(request, measured.entries))
    assert [key for key in keys(table) if len(key) == 1] == ["a", "b", "c"]


def test_notes_say_what_is_odd() -> None:
    table = paper_table(cited())
    text = " ".join(table.table.footnotes)
    assert "20.00: one digit slipped" in text
    assert "Two PSNR 26.50" in text
    assert "One PSNR" not in text, "its average agrees"
    assert "quoted by the source" in text
    two = line(table, "cited", "Two")
    assert table.table.marks(two.notes) != table.table.marks(two.values[AVERAGE, "psnr"].notes)
    every = [dataclasses.replace(r, note="given the task") for r in cited().rows]
    shared = paper_table(cited(rows=tuple(every)))
    assert "given the task" in line(shared, "cited", "One").notes
    assert "given the task" not in line(shared, "cited", "One").values["b", "psnr"].notes


def test_marks_are_doubled_when_signs_run_out() -> None:
    rows = [row(f"M{i}", "a", "psnr", f"3{i}.00") for i in range(6)]
    rows += [row(f"M{i}", "b", "psnr", f"3{i}.00", note=f"note {i}") for i in range(6)]
    table = paper_table(cited(rows=tuple(rows)))
    assert [table.table.marks([note]) for note in table.table.notes] == [
        "†",
        "‡",
        "§",
        "¶",
        "††",
        "‡‡",
    ]


def test_terminal_golden() -> None:
    rows = tuple(r for r in cited().rows if r.metric == "psnr" and r.method != NASTY)
    table = paper_table(cited(rows=rows), own(("one", 24.8765, 1)))
    assert table.to_text().splitlines()[:12] == [
        "┌────────────────────────────┬─────────┬─────────────┬───────────┬───────────┐",
        "│ PSNR                       │ Venue   │   Group σ=1 │        LB │   Average │",
        "├────────────────────────────┼─────────┼─────────────┼───────────┼───────────┤",
        "│ CITED                      │         │             │           │           │",
        "│ General:                   │         │             │           │           │",
        "│ One                        │         │      30.00_ │   20.00_† │    25.00_ │",
        "│ All-in-One:                │         │             │           │           │",
        "│ Two‡                       │ V'25    │      31.00* │    22.00* │   27.00*§ │",
        "│ MEASURED ON SYNTHETIC DATA │         │             │           │           │",
        "│ Images of                  │         │   synthetic │ synthetic │           │",
        "│ Own one¶††                 │         │       25.88 │     23.88 │     24.88 │",
        "└────────────────────────────┴─────────┴─────────────┴───────────┴───────────┘",
    ]
    assert "\x1b[1m31.00\x1b[0m" in table.to_text(True)


def test_markdown_is_one_table_whatever_the_names() -> None:
    text = paper_table(cited(), own(("one", 24.0, None))).to_markdown()
    body = [x for x in text.splitlines() if x.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", x)) for x in body}) == 1
    assert "**31.00** / **0.20**" in text
    assert "<u>20.00</u>†" in text.replace(" / --", "")
    assert "| **Cited**" in text
    assert "| **Measured on synthetic data**" in text
    assert "| *General*" in text
    assert "--" in text


def test_csv_has_every_value_once_and_states_its_origin() -> None:
    table = paper_table(cited(), own(("one", 24.8765, 1)))
    lines = list(csv_format.DictReader(io.StringIO(table.to_csv())))
    of_cited = [x for x in lines if x["origin"] == "cited"]
    assert [(x["method"], x["column"], x["metric"], x["value"]) for x in of_cited] == [
        (r.method, r.column, r.metric, str(r.value)) for r in cited().rows
    ]
    measured = {x["column"]: x for x in lines if x["origin"] == "measured"}
    assert measured["average"]["value"] == "24.8765"
    assert measured["average"]["images_scored"] == "1"
    assert "average minus cited" not in measured
    assert "no Δ to the cited average" in measured["average"]["notes"]
    assert measured["a"]["protocol"] == "prot"


def test_latex_golden_lines() -> None:
    rows = tuple(r for r in cited().rows if r.metric == "psnr")
    text = paper_table(cited(rows=rows), own(("one", 24.8765, 1))).to_latex()
    for expected in (
        r"\begin{tabular}{@{}llccc@{}}",
        r" &  & \multicolumn{2}{c}{Group} &  \\",
        r"\cmidrule(lr){3-4}",
        r"Method & Venue & $\sigma$=1 & LB & Average \\",
        r"\multicolumn{5}{@{}l}{\emph{All-in-One}} \\",
        r"Two$^{\ddagger}$ & V'25",
        r"\textbf{31.00} & \textbf{22.00} & \textbf{27.00}\rlap{$^{\S}$} \\",
        r"\underline{20.00}\rlap{$^{\dagger}$}",
        r"Own one$^{\P}$$^{\dagger}$$^{\dagger}$ &  & 25.88 & 23.88 & 24.88 \\",
        r"N\_\allowbreak{}a\%m\&e\#\allowbreak{}\{1\}\textbackslash{}x",
        r"& \textbf{31.00} & -- & -- \\",
        r"a paper/\allowbreak{}with\_files",
        r"no $\Delta$ to the cited average",
    ):
        assert expected in text, expected
    assert text.count(r"\begin{tabular}") == 1
    assert set(re.findall(r"usepackage{(\w+)}", text)) == {"booktabs"}


def test_latex_puts_spreads_below_and_keeps_counts_of_images() -> None:
    measured = own(("one", 24.8765, 1))
    entries = {k: dataclasses.replace(e, spread=0.125) for k, e in measured.entries.items()}
    entries["one", "b", "psnr_y601"] = Entry(23.0, 0.25, 2, 3, 4)
    text = paper_table(cited(), Summary(measured.request, entries)).to_latex()
    assert r" &  & 25.88 & -- & 23.00 (3/4) & --" in text
    assert r"{\tiny$\pm$0.12}" in text
    assert r"{\tiny$\pm$0.25}" in text


def test_latex_separates_metrics_that_do_not_fit_together() -> None:
    table = next(t for t in load_published() if t.source == "onerestore")
    text = paper_table(table).to_latex()
    assert text.count(r"\begin{tabular}") == 2
    assert r"\emph{PSNR (dB)}" in text
    assert "computed from the values" in text


def test_published_tables_as_a_reader_would_check_them() -> None:
    tables = {(t.source, t.table): paper_table(t) for t in load_published()}
    first = tables["cpl", "I"]
    assert [group.heading for group in first.table.parts[0].groups] == ["General", "All-in-One"]
    best = line(first, "cited", "PromptIR+CPL").values
    assert (best[AVERAGE, "psnr"].text, best[AVERAGE, "psnr"].rank) == ("32.78", 1)
    # The paper's bold is not always the best; the digits decide.
    assert line(first, "cited", "InstructIR").values["denoise50", "psnr"].rank == 1
    assert line(first, "cited", "TextualDegRemoval").values["dehaze", "psnr"].rank == 1
    haze_snow = line(tables["cpl", "V"], "cited", "OneRestore").values["haze-snow", "psnr"]
    assert haze_snow.rank == 1
    assert not tables["cpl", "V"].table.parts[0].groups[0].heading, "Table V has no types"
    weather = tables["weatherbench", "results"]
    assert line(weather, "cited", "WGWSNet").values["rain", "lpips"].rank == 1
    assert VENUE not in keys(weather)
    assert "-- where nothing is known" in tables["cpl", "IV"].table.caption
    assert "nothing is known" not in first.table.caption


@pytest.mark.parametrize("number", range(8))
def test_all_renderers_take_every_published_table(number: int) -> None:
    published = load_published()[number]
    table = paper_table(published)
    values = published.values
    lines = list(csv_format.DictReader(io.StringIO(table.to_csv())))
    assert len(lines) == len(values)
    assert all(x["protocol"] == published.rows[0].protocol for x in lines[:1])
    text = table.to_markdown()
    for (method, column, _), run in values.items():
        if column == AVERAGE:
            assert str(run.value) in text, method
    assert len({len(x) for x in table.to_text().splitlines() if x[:1] in "│┌├└"}) == 1


def test_every_published_table_compiles_and_fits_a_page(tmp_path: Path) -> None:
    measured = own(("one", 24.8765, 1), ("two", 25.0, None))
    spread = {
        key: dataclasses.replace(entry, spread=0.12) for key, entry in measured.entries.items()
    }
    tables = [paper_table(t) for t in load_published()]
    tables += [
        paper_table(cited(), measured),
        paper_table(cited(), Summary(measured.request, spread)),
    ]
    text = "".join(table.to_latex() for table in tables)
    # The text width of two-column conference papers: 6.875 inches.
    document = (
        "\\documentclass[10pt,twocolumn]{article}\n"
        "\\usepackage[letterpaper,left=0.8125in,right=0.8125in]{geometry}\n"
        f"\\usepackage{{booktabs}}\n\\begin{{document}}\n{text}\\end{{document}}\n"
    )
    compiled(document, tmp_path)


# --- of a plan ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("three-task", ("Table I.", "CBSD68 σ=15", "32.78*", "General:")),
        ("five-task", ("Table II.", "GoPro", "30.55*")),
        ("seven-task", ("Table III.", "Low-Light", "33.30*")),
        ("all-weather", ("Table IV.", "Task-Specific:", "--")),
        ("composite", ("Table V.", "l+h+r", "OneRestore PSNR 28.72")),
        ("weatherbench", ("guanqiyuan/WeatherBench", "LPIPS", "29.8490*")),
    ],
)
def test_cited_tables_print_without_anything_measured(
    setting: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    table = paper_table_of(None, setting)
    assert NOTHING_MEASURED in table.to_text()
    text = re.sub(r"\s+", " ", table.to_text())
    for word in words:
        assert word in text
    assert {path.suffix for path in table.write(tmp_path)} == {".csv", ".md", ".tex"}
    assert list(tmp_path.glob(f"{setting}-paper-*.csv"))


def stored(plan: Plan, method: str, origin: str, value: float, weights: str) -> list[Result]:
    score = next(run.score for run in plan.runs if run.score is not None)
    return [
        Result(
            weights=weights,
            score=spec_hash(score.model_copy(update={"weights": weights})),
            method=method,
            seed=0,
            setting=plan.setting.name,
            data_set="synthetic",
            column=column,
            image=image,
            metric=metric,
            preprocessing=plan.setting.preprocessing.id,
            protocol=plan.setting.protocol.id,
            value=value if metric.startswith("psnr") else value / 100,
            origin=origin,  # type: ignore[arg-type]
        )
        for column, images in plan.test.images_by_column().items()
        for image in images
        for metric in plan.metrics
    ]


def planned(out: Path, recipe: str = "smoke") -> Plan:
    return make_plan(RunRequest(methods=("promptir",), recipe=recipe, out=out))


def store_pretrained(out: Path, plan: Plan, name: str, value: float) -> None:
    folder = out / f"promptir-s0-{name}"
    folder.mkdir()
    append(folder / "results.jsonl", stored(plan, "promptir", "re-evaluated", value, name))
    (folder / "provenance.json").write_text(json.dumps({"source": f"{name}.pth"}))


def test_stored_results_stand_below_the_cited_ones(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    run = next(run for run in plan.runs if run.method.id == "promptir")
    run.folder.path.mkdir(parents=True)
    append(run.folder.results, stored(plan, "promptir", "measured", 30.25, run.weights_id))
    store_pretrained(tmp_path, plan, "aaaa", 32.16)
    store_pretrained(tmp_path, plan, "bbbb", 31.0)
    # Results under another test set, as another recipe's, are not these columns.
    store_pretrained(tmp_path, planned(tmp_path, "mini"), "cccc", 99.0)

    table = paper_table_of(plan, "three-task")
    text = table.to_text()
    assert text.index("│ CITED") < text.index("│ RE-EVALUATED") < text.index("│ MEASURED")
    assert "weights of aaaa.pth" in text
    assert "weights of bbbb.pth" in text
    assert "cccc" not in text
    assert "99.00" not in text
    lines = list(csv_format.DictReader(io.StringIO(table.to_csv())))
    averages = [
        (x["origin"], x["value"])
        for x in lines
        if (x["column"], x["metric"]) == (AVERAGE, "psnr") and x["origin"] != "cited"
    ]
    assert [origin for origin, _ in averages] == ["re-evaluated", "re-evaluated", "measured"]
    assert [float(value) for _, value in averages] == pytest.approx([32.16, 31.0, 30.25])
    assert "no Δ to the cited average: the images of σ=15 are synthetic, not CBSD68" in text
    assert not any(x["column"] == "average minus cited" for x in lines)
    assert table.stem.startswith("three-task-smoke-synthetic-paper-cpl-")
    chosen = plan.request.model_copy(update={"columns": ("derain",)})
    with pytest.raises(UsageError, match="--columns"):
        paper_table_of(dataclasses.replace(plan, request=chosen), "three-task")


def test_a_recipe_given_as_a_path_stays_out_of_file_names(tmp_path: Path) -> None:
    recipe = tmp_path / "deep/quick.yaml"
    recipe.parent.mkdir()
    recipe.write_text("base: smoke\n")
    plan = planned(tmp_path / "out", str(recipe))
    paths = paper_table_of(plan, "three-task").write(tmp_path / "tables")
    assert {path.parent for path in paths} == {tmp_path / "tables"}
    assert all(path.name.startswith("three-task-quick-synthetic-paper-cpl-") for path in paths)


def test_the_measured_part_says_of_each_column_what_its_images_are() -> None:
    real = own(
        ("one", 24.0, None),
        images_are="real images",
        data_sets={"a": "CBSD68", "b": "Rain100L"},
    )
    table = paper_table(cited(), real)
    for text in (table.to_text(), table.to_markdown(), table.to_latex()):
        assert "Images of" in text
        assert "CBSD68" in text
        assert "Rain100L" in text
    lines = list(csv_format.DictReader(io.StringIO(table.to_csv())))
    measured = {x["column"]: x["data_set"] for x in lines if x["origin"] == "measured"}
    assert (measured["a"], measured["b"]) == ("CBSD68", "Rain100L")
    assert "Images of" not in paper_table(cited()).to_text()


def test_unknown_settings_and_sources_name_the_way_out() -> None:
    with pytest.raises(UsageError, match="three-task"):
        paper_table_of(None, "three-tasks")
    with pytest.raises(UsageError, match="cpl"):
        paper_table_of(None, "three-task", "mioir")
    other = paper_table_of(None, "composite", "onerestore")
    assert "OneRestore (visual)" in other.to_text()
