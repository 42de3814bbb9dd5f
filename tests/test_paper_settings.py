"""The six settings' tables in a paper's layout: as printed, with own rows, and on a page."""

from __future__ import annotations

import csv as csv_format
import dataclasses
import io
import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from harness.config.files import load_setting
from harness.evaluation.metrics import metric_facts
from harness.published.reading import load_published
from harness.published.tables import AVERAGE, CitedTable, tables_of
from harness.reporting.paper_row import PaperRow
from harness.reporting.paper_table import DELTA, NOTHING_MEASURED, PaperTable, paper_table
from harness.reporting.summary import MethodRow, Summary, SummaryRequest, summarise
from harness.store.results import Result

SETTINGS = ("three-task", "five-task", "seven-task", "all-weather", "composite", "weatherbench")
LABELS = {"cpl": "CPL", "promptir": "PromptIR", "cpl:top_k=2": "CPL:top_k=2", "input": "Input"}


def cited_of(name: str) -> CitedTable:
    return tables_of(load_published(), name)[0]


def own_table(
    name: str, means: dict[str, float], seeds: tuple[int, ...] = (0,), without: str = ""
) -> Summary:
    """Columns have the values mean, mean + 1, ... and each seed is one higher."""
    setting = load_setting(name)
    metrics = tuple(metric_facts(m) for m in setting.protocol.metrics)
    request = SummaryRequest(
        title=setting.title,
        setting=name,
        images_are="synthetic data",
        data_sets={column.name: "synthetic" for column in setting.columns},
        preprocessing="prep",
        protocol=setting.protocol.id,
        recipe="mini",
        columns=setting.columns,
        metrics=metrics,
        methods=tuple(MethodRow(m, LABELS.get(m, m), m == "input") for m in means),
        seeds=seeds,
        images={c.name: ("x#0",) for c in setting.columns},
    )
    rows = [
        Result(
            *(f"w-{method}-{seed}", "s", method, seed, name, "synthetic", column.name),
            *("x#0", metric.id, "prep", setting.protocol.id),
            value=(mean + place + seed) / (1 if metric.unit else 100),
        )
        for method, mean in means.items()
        for seed in seeds
        for place, column in enumerate(setting.columns)
        for metric in metrics
        if column.name != without
    ]
    return summarise(rows, request)


def line_of(table: PaperTable, origin: str, method: str) -> PaperRow:
    (part,) = [p for p in table.parts if p.origin == origin]
    (line,) = [x for x in part.rows if x.method == method]
    return line


@pytest.mark.parametrize("name", SETTINGS)
def test_cited_part_has_every_value_as_printed(name: str) -> None:
    cited = cited_of(name)
    table = paper_table(cited)
    assert [part.origin for part in table.parts] == ["cited"]
    shown = {
        (line.method, *key): cell.text
        for line in table.parts[0].rows
        for key, cell in line.values.items()
    }
    assert shown == {key: str(row.value) for key, row in cited.values.items()}
    assert table.table.remarks == (NOTHING_MEASURED,)
    assert NOTHING_MEASURED in table.to_text()


def test_groups_and_order_are_the_papers() -> None:
    table = paper_table(cited_of("all-weather"))
    (part,) = table.parts
    groups = table.table.parts[0].groups
    assert [(group.heading, len(group.rows)) for group in groups] == [
        ("Task-Specific", 8),
        ("All-in-One", 12),
    ]
    assert part.rows[-1].method == "PromptIR+CPL"
    assert part.rows[-1].venue == "2025"


@pytest.mark.parametrize(
    ("name", "column", "metric", "best", "second"),
    [
        # Where the paper's bold is not the best, the numbers decide.
        ("three-task", "denoise50", "psnr", {"InstructIR"}, {"PromptIR+CPL"}),
        ("three-task", "dehaze", "psnr", {"TextualDegRemoval"}, {"PromptIR+CPL"}),
        ("three-task", "denoise15", "psnr", {"InstructIR", "PromptIR+CPL"}, set()),
        ("three-task", AVERAGE, "psnr", {"PromptIR+CPL"}, {"AdaIR"}),
        ("seven-task", "haze", "psnr", {"SwinIR-S"}, {"PromptIR+CPL", "Uformer-S"}),
        ("composite", "haze-snow", "psnr", {"OneRestore"}, {"PromptIR+CPL"}),
        # Less is better.
        ("weatherbench", "rain", "lpips", {"WGWSNet"}, {"MWFormer"}),
    ],
)
def test_best_and_second_among_cited_rows(
    name: str, column: str, metric: str, best: set[str], second: set[str]
) -> None:
    (part,) = paper_table(cited_of(name)).parts
    ranked: dict[int | None, set[str]] = {1: set(), 2: set()}
    for line in part.rows:
        cell = line.values.get((column, metric))
        if cell is not None and cell.rank:
            ranked[cell.rank].add(line.method)
    assert ranked == {1: best, 2: second}


def test_measured_rows_are_separate_and_change_no_cited_rank() -> None:
    cited = cited_of("three-task")
    alone = paper_table(cited)
    # Far better than any cited value: still no rank among them, and theirs stay.
    both = paper_table(cited, own_table("three-task", {"input": 20, "cpl": 90, "promptir": 80}))
    assert both.parts[0] == alone.parts[0]
    assert [part.origin for part in both.parts] == ["cited", "measured"]
    assert line_of(both, "measured", "CPL").values["derain", "psnr"].rank == 1
    assert "synthetic data" in both.parts[1].detail
    for text in (both.to_text(), both.to_markdown(), both.to_latex()):
        assert "synthetic data" in text
        assert NOTHING_MEASURED not in text
        assert "other images than the cited benchmark" in re.sub(r"\s+", " ", text)


def test_synthetic_images_have_no_difference_to_the_cited_and_say_so() -> None:
    measured = own_table("three-task", {"input": 20, "cpl": 30, "cpl:top_k=2": 31})
    table = paper_table(cited_of("three-task"), measured)
    assert DELTA not in {column.key for column in table.table.columns}
    (note,) = (n for n in line_of(table, "measured", "CPL").notes if n.startswith("no Δ"))
    assert "synthetic" in note
    # Options make it another method than the cited one, and the input is not cited.
    for method in ("CPL:top_k=2", "Input"):
        assert not any(n.startswith("no Δ") for n in line_of(table, "measured", method).notes)


def test_reevaluated_weights_are_a_part_of_their_own() -> None:
    again = own_table("three-task", {"promptir#abc": 30})
    table = paper_table(cited_of("three-task"), own_table("three-task", {"promptir": 31}), again)
    assert [part.origin for part in table.parts] == ["cited", "re-evaluated", "measured"]
    assert "pretrained weights" in table.parts[1].detail
    assert table.parts[1].rows[0].values[AVERAGE, "psnr"].text == "32.00"
    assert line_of(table, "measured", "PromptIR").values[AVERAGE, "psnr"].text == "33.00"


def test_metrics_are_matched_by_kind() -> None:
    """All-weather is scored on luma and shown under PSNR and SSIM, with its digits."""
    table = paper_table(cited_of("all-weather"), own_table("all-weather", {"cpl": 30}))
    cells = line_of(table, "measured", "CPL").values
    assert cells[AVERAGE, "psnr"].text == "31.50"
    assert cells[AVERAGE, "ssim"].text == "0.3150"


def test_footnotes_say_what_is_odd_and_change_no_value() -> None:
    table = paper_table(cited_of("composite"))
    cell = line_of(table, "cited", "OneRestore").values[AVERAGE, "psnr"]
    assert cell.text == "28.47"
    assert any("OneRestore PSNR 28.72" in note for note in cell.notes)
    text = table.to_text()
    mark = table.table.marks(cell.notes)
    assert f"28.47_{mark}" in text
    assert f"\n{mark} as printed" in text
    starred = line_of(paper_table(cited_of("five-task")), "cited", "PromptIR")
    assert "quoted by the source from elsewhere" in starred.notes


def test_missing_is_two_hyphens() -> None:
    text = paper_table(cited_of("all-weather")).to_markdown()
    (line,) = [x for x in text.splitlines() if x.startswith("| HRGAN")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["HRGAN", "CVPR'19", "--", "--", "21.56 / 0.8550", "--", "--"]


def test_csv_gives_every_value_and_its_origin() -> None:
    cited = cited_of("composite")
    table = paper_table(cited, own_table("composite", {"cpl": 30}, seeds=(0, 1)))
    lines = list(csv_format.DictReader(io.StringIO(table.to_csv())))
    of_cited = [line for line in lines if line["origin"] == "cited"]
    assert sorted(Decimal(line["value"]) for line in of_cited) == sorted(
        row.value for row in cited.rows
    )
    own = {line["column"]: line for line in lines if line["origin"] == "measured"}
    assert float(own["haze"]["value"]) == 31.5
    assert own["haze"]["images_scored"] == "2"
    assert {line["setting"] for line in lines} == {"composite"}
    assert "average minus cited" not in own


def test_order_of_cited_rows_within_a_method_changes_nothing() -> None:
    cited = cited_of("three-task")
    by_method = sorted(cited.rows, key=lambda row: (cited.methods.index(row.method), row.column))
    mixed = dataclasses.replace(cited, rows=tuple(by_method))
    assert paper_table(mixed).to_text() == paper_table(cited).to_text()


@pytest.mark.parametrize("name", SETTINGS)
def test_latex_compiles_and_fits_the_page(name: str, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-recommended)")
    means = {"input": 20.0, "cpl": 30.0, "promptir": 29.0, "nafnet:width=32:blocks=[1,2]": 28.0}
    full = paper_table(
        cited_of(name),
        own_table(name, means, seeds=(0, 1)),
        own_table(name, {"promptir#0123456789abcdef": 29.5}),
    )
    tables = "\\clearpage\n".join(t.to_latex() for t in (paper_table(cited_of(name)), full))
    (tmp_path / "t.tex").write_text(
        "\\documentclass[twocolumn]{article}\n\\usepackage[margin=1.8cm]{geometry}\n"
        f"\\usepackage{{booktabs}}\n\\begin{{document}}\n{tables}\\end{{document}}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout, "the table is wider than the page"
    assert "too large" not in done.stdout, "the table is higher than the page"
