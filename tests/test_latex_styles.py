"""LaTeX for papers: every built-in table compiles in every style, and says what it has to."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import pytest

from harness.config.errors import UsageError
from harness.config.files import load_setting, setting_names
from harness.published.reading import load_published
from harness.reporting.benchmark_table import benchmark_table_of
from harness.reporting.paper_table import paper_table
from harness.reporting.renderers.latex_style import PAGES, LatexStyle, document
from harness.reporting.summary import summarise
from harness.reporting.table import Cell, Column, Part, Row, RowGroup, Table, metric_panel
from harness.reporting.table_report import TableReport
from tests.latex import compiled, installed
from tests.test_ablation import table as ablation_table
from tests.test_paper_tables import cited, own
from tests.test_tables import request, rows_for


@cache
def built_in_tables() -> list[TableReport]:
    """Return every kind of table: cited, measured with one and several seeds, of a study."""
    found: list[TableReport] = [paper_table(table) for table in load_published()]
    found.append(paper_table(cited(), own(("one", 24.8765, 1), ("two", 25.0, None))))
    for name in setting_names():
        setting = load_setting(name)
        results = [dataclasses.replace(row, setting=name) for row in rows_for(setting)]
        asked = dataclasses.replace(request(setting), setting=name, title=setting.title)
        found.append(benchmark_table_of(summarise(results, asked)))
        single = [row for row in results if row.seed == 0]
        methods = tuple(dataclasses.replace(row, runs=1) for row in asked.methods)
        alone = dataclasses.replace(asked, seeds=(0,), methods=methods)
        found.append(benchmark_table_of(summarise(single, alone)))
    found.append(ablation_table())
    return found


@pytest.mark.parametrize("siunitx", [False, True], ids=["plain-numbers", "siunitx"])
@pytest.mark.parametrize("cells", ["one", "two"])
@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_built_in_table_compiles(
    name: str, cells: str, siunitx: bool, tmp_path: Path
) -> None:
    if not installed("booktabs.sty"):
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-recommended)")
    if name == "ieee" and not installed("IEEEtran.cls"):
        pytest.skip("IEEEtran is not installed (Debian: texlive-publishers)")
    if siunitx and not installed("siunitx.sty"):
        pytest.skip("siunitx is not installed (Debian: texlive-science)")
    style = LatexStyle(name, "one" if cells == "one" else "two", siunitx)
    # LaTeX holds few floats before it asks for a page.
    parts = [f"{table.to_latex(style)}\\clearpage\n" for table in built_in_tables()]
    compiled(document("".join(parts), style), tmp_path)


def test_a_standalone_table_compiles_as_it_is(tmp_path: Path) -> None:
    if not installed("booktabs.sty"):
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-recommended)")
    text = built_in_tables()[0].to_latex(LatexStyle("cvpr", standalone=True))
    assert text.startswith(r"\documentclass")
    compiled(text, tmp_path)


@dataclasses.dataclass(frozen=True)
class Metric:
    id: str
    label: str
    unit: str
    higher_is_better: bool


PSNR = Metric("psnr", "PSNR", "dB", True)
LPIPS = Metric("lpips", "LPIPS", "", False)


def small_table(count: int = 2) -> Table:
    columns = [Column(f"c{place}", f"C{place}", f"C{place}", "Group") for place in range(count)]
    cells = {("c0", "psnr"): Cell("30.12±0.10", rank=1, notes=("odd",), spread=0.1)}
    cells["c0", "lpips"] = Cell("0.123", rank=2)
    rows = (Row("A_b", cells), Row("Other", {("c1", "psnr"): Cell("7.5")}, notes=("a note",)))
    part = Part("Cited", (RowGroup("", rows),), "as printed in a paper")
    return Table(
        layout="stacked",
        name="small",
        columns=tuple(columns),
        panels=(metric_panel([PSNR, LPIPS]),),
        parts=(part,),
        caption="A caption.",
        details="How they came about.",
    )


def text_of(style: LatexStyle, count: int = 2) -> str:
    return TableReport(small_table(count), "small").to_latex(style)


def test_headings_marks_and_footnotes() -> None:
    text = text_of(LatexStyle("ieee"))
    assert r"\multicolumn{4}{c}{Group}" in text
    assert r"PSNR$\uparrow$ & LPIPS$\downarrow$" in text
    assert r"A\_b$^{a}$ & \textbf{30.12}{\tiny$\pm$0.10}\rlap{$^{b}$}" in text
    assert r"\underline{0.123}" in text
    assert r"Other$^{a,c}$ & -- & -- & 7.5 & --" in text
    assert "$^{a}$ as printed in a paper" in text
    assert text.startswith("% Needs \\usepackage{booktabs}.\n% How they came about.\n")


def test_metrics_share_a_cell_where_asked() -> None:
    text = text_of(LatexStyle("plain", "one"))
    assert r"PSNR$\uparrow$ / LPIPS$\downarrow$ & C0 & C1 \\" in text
    assert r"7.5 / --" in text


def test_siunitx_sets_figures_alone() -> None:
    text = text_of(LatexStyle("plain", siunitx=True))
    assert r"\textbf{\num{30.12}}" in text
    assert r"\num{7.5} & --" in text


def test_captions_stand_where_the_venue_has_them() -> None:
    above, below = text_of(LatexStyle("ieee")), text_of(LatexStyle("cvpr"))
    assert above.index(r"\caption") < above.index(r"\begin{tabular}")
    assert below.index(r"\caption") > below.index(r"\end{tabular}")


def test_a_table_takes_no_more_width_than_it_needs() -> None:
    assert r"\begin{table}" in text_of(LatexStyle("ieee"))
    table = small_table(5)
    cells = {(f"c{p}", m): Cell("30.12") for p in range(5) for m in ("psnr", "lpips")}
    part = Part("", (RowGroup("", (Row("A", cells),)),))
    wide = TableReport(dataclasses.replace(table, parts=(part,)), "x").to_latex("ieee")
    assert r"\begin{table*}" in wide


def test_an_unknown_style_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'ieee'"):
        LatexStyle("iee")


def test_the_file_of_a_style_stands_next_to_the_others(tmp_path: Path) -> None:
    report = TableReport(small_table(), "small")
    paths = report.write(tmp_path, LatexStyle("cvpr", standalone=True))
    assert [path.name for path in paths] == [
        "small.csv",
        "small.md",
        "small.tex",
        "small-cvpr-standalone.tex",
    ]
