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

from harness.published.tables import AVERAGE, CitedRow, CitedTable

RULE = (
    "an average is the mean of the columns printed with it; it agrees within half a unit of "
    "its last digit, so either rounding of an exact half agrees"
)


@dataclass(frozen=True)
class Discrepancy:
    """A printed average that is not the mean of its row.

    ``row`` is the average as printed, ``mean`` the exact mean of ``columns`` (the columns' names
    as printed), ``whole`` whether these are all the columns of the table.
    """

    row: CitedRow
    mean: Fraction
    columns: tuple[str, ...]
    whole: bool

    @property
    def recomputed(self) -> Decimal:
        """Return the mean with two digits more than the printed average."""
        return _decimal(self.mean, places(self.row.value) + 2)

    @property
    def corrected(self) -> Decimal:
        """Return the mean with as many digits as the printed average."""
        return _decimal(self.mean, places(self.row.value))

    @property
    def difference(self) -> Decimal:
        """Return printed minus recomputed, with the recomputed one's digits."""
        return _decimal(Fraction(self.row.value) - self.mean, places(self.row.value) + 2)

    @property
    def cut_off(self) -> bool:
        """Return whether cutting the mean off, instead of rounding it, yields what is printed."""
        digits = 10 ** places(self.row.value)
        return Fraction(int(self.mean * digits), digits) == Fraction(self.row.value)

    @property
    def over(self) -> str:
        """Return over which columns the mean is taken, in words."""
        if self.whole:
            return f"all {len(self.columns)} columns"
        return ", ".join(self.columns)

    @property
    def remark(self) -> str:
        """Return what explains the difference, as far as it is known."""
        known = ["cut off, not rounded" if self.cut_off else "", self.row.note]
        return "; ".join(filter(None, known))


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
            mean = sum(map(Fraction, parts.values()), Fraction()) / len(parts)
            if not agrees(row.value, mean):
                whole = len(parts) == len(table.columns)
                wrong.append(Discrepancy(row, mean, tuple(parts), whole))
    repeated, contradictions = _compared(tables)
    return Audit(checked, tuple(wrong), repeated, tuple(contradictions))


def places(value: Decimal) -> int:
    """Return how many decimal places a printed value has."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), "loading admits finite numbers only"
    return -exponent


def _parts(average: CitedRow, table: CitedTable) -> dict[str, Decimal]:
    """Return the values that an average is the mean of, by column as printed."""
    values = table.values
    parts = {}
    for column in table.columns:
        key = (average.method, column.name, average.metric)
        if key in values:
            parts[column.dataset] = values[key].value
    return parts


def agrees(printed: Decimal, exact: Fraction) -> bool:
    """Return whether ``exact``, rounded to the digits of ``printed``, can yield it."""
    return abs(Fraction(printed) - exact) <= Fraction(1, 2 * 10 ** places(printed))


def _compared(tables: Sequence[CitedTable]) -> tuple[int, list[Contradiction]]:
    """Compare values of different sources; the coarser of two has to be the finer one, rounded."""
    first: dict[tuple[str, str, str, str], list[CitedRow]] = {}
    repeated, found = 0, []
    for table in tables:
        for row in table.rows:
            if row.column == AVERAGE:
                continue
            known = first.setdefault((row.setting, row.method, row.column, row.metric), [])
            for other in known:
                repeated += 1
                coarse, fine = sorted((other.value, row.value), key=places)
                if not agrees(coarse, Fraction(fine)):
                    found.append(Contradiction(other, row))
            known.append(row)
    return repeated, found


def _decimal(value: Fraction, digits: int) -> Decimal:
    """Return ``value`` with ``digits`` decimal places; an exact half goes to the even digit."""
    return Decimal(round(value * 10**digits)).scaleb(-digits)
