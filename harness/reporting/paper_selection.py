"""Which rows of a published table are shown: by year, parameters and type of method."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from harness.config.errors import UsageError, did_you_mean
from harness.published.tables import CitedRow, CitedTable

_YEARS = re.compile(r"(\d{4})?(-)?(\d{4})?")


@dataclass(frozen=True)
class CitedSelection:
    """What a row has to be to be shown; None and empty ask for nothing.

    Attributes:
        years: first and last year of the venue.
        most_params_m: largest number of parameters, in millions.
        types: types of methods as the table prints them, as ``All-in-One``.
    """

    years: tuple[int, int] | None = None
    most_params_m: float | None = None
    types: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return self != EVERYTHING

    def admits(self, row: CitedRow) -> bool:
        """Return whether a row is shown; one that does not state what is asked for is not."""
        if self.years is not None:
            first, last = self.years
            if row.year is None or not first <= row.year <= last:
                return False
        if self.most_params_m is not None:
            params = row.params_m
            if params is None or params > Decimal(str(self.most_params_m)):
                return False
        return not self.types or row.type in self.types


EVERYTHING = CitedSelection()
"""Every row."""


def parse_years(text: str) -> tuple[int, int]:
    """Return first and last year of ``2025``, ``2023-2025``, ``2024-`` or ``-2022``.

    Raises:
        UsageError: the text is none of these.
    """
    found = _YEARS.fullmatch(text)
    if found is None or not (found[1] or found[3]):
        raise UsageError(f"--years '{text}' is not like 2025, 2023-2025, 2024- or -2022")
    first = int(found[1] or 0)
    last = int(found[3] or 9999) if found[2] else first
    if first > last:
        raise UsageError(f"--years '{text}' ends before it begins")
    return first, last


def select_rows(table: CitedTable, wanted: CitedSelection) -> CitedTable:
    """Return a table with the wanted rows alone.

    Raises:
        UsageError: a type that the table does not have, or no row is left.
    """
    known = _types(table.rows)
    for name in wanted.types:
        if name not in known:
            raise UsageError(
                f"{table.source} {table.table} has no methods of type '{name}'; "
                f"{did_you_mean(name, known) if known else 'it names no types'}"
            )
    rows = tuple(row for row in table.rows if wanted.admits(row))
    if not rows:
        raise UsageError(
            f"no row of {table.source} {table.table} states and meets what --years, --max-params "
            "and --types ask for; ask for less"
        )
    return replace(table, rows=rows)


def _types(rows: Sequence[CitedRow]) -> list[str]:
    return list(dict.fromkeys(row.type for row in rows if row.type))
