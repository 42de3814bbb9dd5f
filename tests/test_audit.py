"""Averages of published tables, recomputed: what is known to be wrong is found, and no more."""

from __future__ import annotations

import dataclasses
from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.errors import UsageError
from harness.published.audit import Audit, audit
from harness.published.reading import load_published
from harness.published.slips import CUT_OFF, agrees, places
from harness.published.tables import CitedTable
from harness.reporting.audit_report import audit_report

# Found by hand in the printed tables: table, method, metric, printed, mean of the row.
KNOWN = {
    ("cpl I", "MPRNet", "psnr", "30.63", "30.6360"),
    ("cpl I", "Restormer", "psnr", "30.75", "30.7160"),
    ("cpl I", "NAFNet", "ssim", "0.844", "0.88420"),
    ("cpl I", "DRSformer", "ssim", "0.902", "0.90140"),
    ("cpl I", "DL", "ssim", "0.875", "0.76740"),
    ("cpl I", "AirNet", "ssim", "0.910", "0.90920"),
    ("cpl I", "TextualDegRemoval", "psnr", "32.63", "32.5580"),
    ("cpl II", "SwinIR", "ssim", "0.835", "0.83560"),
    ("cpl II", "Restormer", "ssim", "0.881", "0.88160"),
    ("cpl II", "AirNet", "ssim", "0.846", "0.84660"),
    ("cpl II", "InstructIR", "ssim", "0.907", "0.90760"),
    ("cpl II", "NAFNet", "psnr", "27.76", "27.7660"),
    ("cpl II", "DL", "psnr", "21.05", "21.0560"),
    ("cpl II", "PromptIR+CPL", "psnr", "30.55", "30.5600"),
    ("cpl IV", "PromptIR", "ssim", "0.9357", "0.935775"),
    ("cpl IV", "PromptIR+CPL", "ssim", "0.9437", "0.944800"),
    ("cpl V", "OneRestore", "psnr", "28.47", "28.7245"),
    ("mioir performance", "SRResNet-S+AP", "psnr", "29.76", "29.7543"),
    ("mioir performance", "SwinIR-S+AP", "psnr", "32.00", "31.9943"),
}


# Averages of the survey that are not the mean of their row, counted by plain arithmetic.
SURVEY = {
    "three-task": 16,
    "five-task": 15,
    "all-weather": 3,
    "weatherstream": 1,
    "real-world": 3,
    "foundir": 22,
}


@pytest.fixture(scope="module")
def tables() -> tuple[CitedTable, ...]:
    return load_published()


@pytest.fixture(scope="module")
def found(tables: tuple[CitedTable, ...]) -> Audit:
    return audit(tables)


def test_exactly_the_known_discrepancies(found: Audit) -> None:
    of_papers = [d for d in found.discrepancies if d.row.source != "survey"]
    assert {
        (
            f"{d.row.source} {d.row.table}",
            d.row.method,
            d.row.metric,
            str(d.row.value),
            str(d.recomputed),
        )
        for d in of_papers
    } == KNOWN
    assert len(of_papers) == len(KNOWN)


def test_averages_of_the_survey_by_plain_arithmetic(found: Audit) -> None:
    of_survey = Counter(d.row.table for d in found.discrepancies if d.row.source == "survey")
    assert of_survey == SURVEY
    remarks = {
        (d.row.table, d.row.method, d.row.metric): d.remark
        for d in found.discrepancies
        if d.row.source == "survey"
    }
    assert remarks["three-task", "MPRNet", "psnr"] == CUT_OFF
    assert remarks["three-task", "Restormer", "ssim"] == (
        "agrees with 0.930 in Denoising σ=15, as cpl I prints it"
    )
    assert remarks["three-task", "FSNet", "ssim"] == "agrees with the values that cpl I prints"
    assert remarks["five-task", "MIRAGE", "psnr"] == "one off in the last digit"
    assert remarks["all-weather", "MPRNet", "psnr"] == ""


def test_every_printed_average_is_checked(tables: tuple[CitedTable, ...], found: Audit) -> None:
    """16 x 2 and 17 x 2 of Tables I and II, 7, 13 x 2, 8, WeatherBench 15 x 3, MiOIR 12.

    Table IV prints no average of seven task-specific methods; the workbook prints none. The survey
    prints two averages for each of 146 rows with values of their own.
    """
    assert found.averages == 32 + 34 + 7 + 26 + 8 + 45 + 12 - 2 + 2 * 146


def test_an_average_is_over_the_columns_that_have_values(tables: tuple[CitedTable, ...]) -> None:
    """Table IV's All-in-One has no value on Snow100K-S, and its average agrees over three."""
    table = next(t for t in tables if (t.source, t.table) == ("cpl", "IV"))
    assert ("All-in-One", "snow-small", "psnr") not in table.values
    assert not [d for d in audit([table]).discrepancies if d.row.method == "All-in-One"]
    rows = tuple(
        dataclasses.replace(r, value=Decimal("28.06"))
        if (r.method, r.column, r.metric) == ("All-in-One", "average", "psnr")
        else r
        for r in table.rows
    )
    (wrong,) = [
        d
        for d in audit([dataclasses.replace(table, rows=rows)]).discrepancies
        if d.row.method == "All-in-One"
    ]
    assert wrong.over == "Snow100K-L, Outdoor-Rain, RainDrop"
    assert str(wrong.corrected) == "28.05"


def test_either_rounding_of_an_exact_half_agrees() -> None:
    half = Fraction(Decimal("33.745"))
    assert agrees(Decimal("33.74"), half)
    assert agrees(Decimal("33.75"), half)
    assert not agrees(Decimal("33.73"), half)
    assert not agrees(Decimal("33.74"), half + Fraction(1, 10**9))


@given(values=st.lists(st.integers(0, 99999), min_size=1, max_size=11), digits=st.integers(1, 4))
def test_a_rounded_mean_agrees_and_one_unit_off_does_not_unless_half(
    values: list[int], digits: int
) -> None:
    mean = sum((Fraction(v, 10**digits) for v in values), Fraction()) / len(values)
    unit = Decimal(1).scaleb(-digits)
    printed = Decimal(round(mean * 10**digits)).scaleb(-digits)
    assert places(printed) == digits
    assert agrees(printed, mean)
    half = (mean * 10**digits * 2).denominator == 1 and (mean * 10**digits).denominator == 2
    assert agrees(printed + unit, mean) + agrees(printed - unit, mean) == (1 if half else 0)


def test_a_changed_value_is_found(tables: tuple[CitedTable, ...]) -> None:
    """One digit off in one column of a row that agreed makes its average disagree."""
    table = next(t for t in tables if (t.source, t.table) == ("cpl", "III"))
    assert not audit([table]).discrepancies
    rows = list(table.rows)
    rows[0] = dataclasses.replace(rows[0], value=rows[0].value + 1)
    (wrong,) = audit([dataclasses.replace(table, rows=tuple(rows))]).discrepancies
    assert wrong.row.method == rows[0].method


def test_what_is_known_of_a_discrepancy_is_said(found: Audit) -> None:
    remarks = {}
    for d in found.discrepancies:
        if d.row.source != "survey":
            remarks[d.row.table, d.row.method, d.row.metric] = d.remark
    assert "cut off, not rounded" in remarks["I", "MPRNet", "psnr"]
    assert "0.931" in remarks["I", "DL", "ssim"]
    assert "recognises the degradation itself" in remarks["V", "OneRestore", "psnr"]
    assert remarks["II", "PromptIR+CPL", "psnr"] == "one off in the last digit"
    assert remarks["I", "TextualDegRemoval", "psnr"] == ""


def test_values_printed_twice_agree(tables: tuple[CitedTable, ...]) -> None:
    of_papers = [table for table in tables if table.source != "survey"]
    found = audit(of_papers)
    assert found.repeated == 74
    assert found.contradictions == ()
    changed = [
        dataclasses.replace(
            t, rows=(dataclasses.replace(t.rows[0], value=Decimal("26.12")), *t.rows[1:])
        )
        if (t.source, t.table) == ("cpl", "III")
        else t
        for t in of_papers
    ]
    (pair,) = audit(changed).contradictions
    assert {str(pair.first.value), str(pair.second.value)} == {"26.12", "26.02"}


def test_the_report_lists_what_does_not_agree() -> None:
    report = audit_report()
    text = report.to_text()
    assert "79 of them do not agree" in text
    for part in ("OneRestore", "28.47", "28.7245", "all 11 columns", "either rounding"):
        assert part in text
    assert not report.all_agree
    clean = audit_report("weatherbench")
    assert clean.all_agree
    assert "0 of them do not agree" in clean.to_text()
    with pytest.raises(UsageError, match="weatherbench"):
        audit_report("weather")


def test_what_survey_and_papers_print_differently_is_shown(found: Audit) -> None:
    pairs = {
        (c.first.source, c.first.method, c.first.column, c.first.metric): (c.first, c.second)
        for c in found.contradictions
    }
    assert len(pairs) == len(found.contradictions) == 29
    paper, survey = pairs["cpl", "InstructIR", "dehaze", "psnr"]
    assert (str(paper.value), str(survey.value)) == ("27.10", "36.84")
    paper, survey = pairs["cpl", "WeatherDiff", "average", "psnr"]
    assert (str(paper.value), str(survey.value)) == ("22.49", "24.09")
    # Averages over other columns are no contradiction: Table IV has a second size of snow.
    assert ("cpl", "Histoformer", "average", "psnr") not in pairs
