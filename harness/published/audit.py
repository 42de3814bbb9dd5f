"""Do the averages of published tables follow from the values of their rows?

The rule: the average of a row is the mean of those columns that have a value in it, each
counted once, exact in rational arithmetic. A printed average agrees when it is within half a
unit of its last digit of that mean; where the mean is an exact half, both roundings agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from harness.published.slips import CUT_OFF, PrintedAverage, agrees, likely_slip, places, rounded
from harness.published.tables import AVERAGE, CitedRow, CitedTable

RULE = (
    "an average is the mean of the columns printed with it; it agrees within half a unit of "
    "its last digit, so either rounding of an exact half agrees"
)


@dataclass(frozen=True)
class Discrepancy:
    """A printed average that is not the mean of its row.

    ``row`` is the average as printed, ``mean`` the exact mean of ``columns`` (the columns' names
    as printed), ``whole`` whether these are all the columns of the table, ``slip`` what may explain
    it (see :func:`~harness.published.slips.likely_slip`).
    """

    row: CitedRow
    mean: Fraction
    columns: tuple[str, ...]
    whole: bool
    slip: str = ""

    @property
    def recomputed(self) -> Decimal:
        """Return the mean with two digits more than the printed average."""
        return rounded(self.mean, places(self.row.value) + 2)

    @property
    def corrected(self) -> Decimal:
        """Return the mean with as many digits as the printed average."""
        return rounded(self.mean, places(self.row.value))

    @property
    def difference(self) -> Decimal:
        """Return printed minus recomputed, with the recomputed one's digits."""
        return rounded(Fraction(self.row.value) - self.mean, places(self.row.value) + 2)

    @property
    def over(self) -> str:
        """Return over which columns the mean is taken, in words."""
        if self.whole:
            return f"all {len(self.columns)} columns"
        return ", ".join(self.columns)

    @property
    def remark(self) -> str:
        """Return what explains the difference: what is known of the row before what is likely."""
        if self.row.note and self.slip != CUT_OFF:
            return self.row.note
        return "; ".join(filter(None, (self.slip, self.row.note)))


@dataclass(frozen=True)
class Contradiction:
    """One method's value of one column that two tables print differently."""

    first: CitedRow
    second: CitedRow


@dataclass(frozen=True)
class Audit:
    """What was found, and in how much: averages that were recomputed, values printed twice."""

    averages: int
    discrepancies: tuple[Discrepancy, ...]
    repeated: int
    contradictions: tuple[Contradiction, ...]


def audit(tables: Sequence[CitedTable]) -> Audit:
    """Recompute every printed average and compare values that two tables print.

    Averages that were computed when the source was copied are nobody's claim and not checked,
    nor are those without any value of their own.
    """
    checked, wrong = 0, []
    for table in tables:
        for row in table.rows:
            parts = _parts(row, table) if row.average == "printed" else {}
            if not parts:
                continue
            checked += 1
            average = PrintedAverage(row, parts, table)
            if not agrees(row.value, average.mean):
                whole = len(parts) == len(table.columns)
                slip = likely_slip(average, tables)
                wrong.append(Discrepancy(row, average.mean, tuple(parts), whole, slip))
    repeated, contradictions = compare_values(tables)
    return Audit(checked, tuple(wrong), repeated, tuple(contradictions))


def _parts(average: CitedRow, table: CitedTable) -> dict[str, Decimal]:
    """Return the values that an average is the mean of, by column as printed."""
    values = table.values
    parts = {}
    for column in table.columns:
        key = (average.method, column.name, average.metric)
        if key in values:
            parts[column.dataset] = values[key].value
    return parts


def compare_values(tables: Sequence[CitedTable]) -> tuple[int, list[Contradiction]]:
    """Compare values that two tables print of the same method, column and metric.

    Returns:
        How many are printed twice, and those that differ.
    """
    first: dict[tuple[str, str, str, str], list[tuple[CitedTable, CitedRow]]] = {}
    repeated, found = 0, []
    for table in tables:
        for row in table.rows:
            if row.average == "computed":
                continue
            known = first.setdefault((row.setting, row.method, row.column, row.metric), [])
            for other_table, other in known:
                if row.column == AVERAGE and not _of_same_columns(table, other_table):
                    continue
                repeated += 1
                if differ(other, row):
                    found.append(Contradiction(other, row))
            known.append((table, row))
    return repeated, found


def differ(one: CitedRow, other: CitedRow) -> bool:
    """Return whether two printed values differ: the coarser has to be the finer one, rounded."""
    coarse, fine = sorted((one.value, other.value), key=places)
    return not agrees(coarse, Fraction(fine))


def _of_same_columns(one: CitedTable, other: CitedTable) -> bool:
    """Return whether averages of two tables are of the same columns, as far as is known."""
    names = {column.name for column in one.columns}
    other_names = {column.name for column in other.columns}
    return not names or not other_names or names == other_names
