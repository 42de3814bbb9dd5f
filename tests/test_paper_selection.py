"""Rows of a published table, chosen by year, parameters and type."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from harness.api import paper_table
from harness.config.errors import UsageError
from harness.planning.request import RunRequest
from harness.published.reading import load_published
from harness.published.tables import CitedTable, tables_of
from harness.reporting.paper_selection import CitedSelection, parse_years, select_rows


@pytest.fixture(scope="module")
def survey() -> CitedTable:
    return tables_of(load_published(), "three-task", "survey")[0]


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("2025", (2025, 2025)),
        ("2023-2025", (2023, 2025)),
        ("2024-", (2024, 9999)),
        ("-2022", (0, 2022)),
    ],
)
def test_years_are_read(text: str, years: tuple[int, int]) -> None:
    assert parse_years(text) == years


@pytest.mark.parametrize("text", ["", "-", "20", "25", "2025-2024", "two", "2023-24", "2023,2024"])
def test_what_is_no_range_of_years_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--years"):
        parse_years(text)


def test_year_and_parameters_are_read_as_printed(survey: CitedTable) -> None:
    rows = {row.method: row for row in survey.rows}
    assert (rows["PromptIR"].year, rows["PromptIR"].params_m) == (2023, Decimal(36))
    assert (rows["DFPIR"].year, rows["DFPIR"].params_m) == (2025, Decimal(94))  # 31M+63M
    assert rows["Cat-AIR"].params_m is None


def test_rows_are_chosen_by_all_that_is_asked_for(survey: CitedTable) -> None:
    wanted = CitedSelection((2025, 2025), 15, ("All-in-One",))
    assert select_rows(survey, wanted).methods == ["AnyIR (2025)", "MIRAGE"]
    assert select_rows(survey, CitedSelection()) == survey


def test_what_a_row_does_not_state_does_not_admit_it(survey: CitedTable) -> None:
    assert "Cat-AIR" not in select_rows(survey, CitedSelection(most_params_m=1000)).methods
    weather = tables_of(load_published(), "all-weather", "survey")[0]
    with pytest.raises(UsageError, match="ask for less"):
        select_rows(weather, CitedSelection(years=(2000, 2030)))  # it prints no venues


def test_an_unknown_type_names_the_known_ones(survey: CitedTable) -> None:
    with pytest.raises(UsageError, match="known are All-in-One, Multiple, Single"):
        select_rows(survey, CitedSelection(types=("Best",)))


def test_the_table_says_what_was_chosen_and_what_others_print(tmp_path: Path) -> None:
    request = RunRequest(setting="five-task", out=tmp_path)
    whole = paper_table(request, "survey")
    chosen = paper_table(request, "survey", CitedSelection((2024, 2024)))
    assert whole.stem != chosen.stem
    text = chosen.to_text()
    assert "of its 45 methods were chosen" in text
    assert "cpl II prints SOTS PSNR 27.10, SOTS SSIM 0.956" in " ".join(text.split())
    assert "Params" in text
    assert "NAFNet" not in text
    assert "16M+17M" in chosen.to_csv()


def test_a_table_of_averages_alone_shows_what_is_odd_about_one(tmp_path: Path) -> None:
    request = RunRequest(setting="composite", out=tmp_path)
    text = " ".join(paper_table(request, "survey").to_text().split())
    assert "the run that recognises the degradation itself; the workbook has 28.72 dB" in text
