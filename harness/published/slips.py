"""What may explain a printed average that is not the mean of its row.

An explanation is a guess by arithmetic and is worded as one; the printed value stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from harness.published.tables import AVERAGE, CitedRow, CitedTable

CUT_OFF = "cut off, not rounded"


@dataclass(frozen=True)
class PrintedAverage:
    """A printed average with the values that it should be the mean of.

    Attributes:
        row: the average as printed.
        parts: the values of its row, by column as printed.
        table: where it is printed.
    """

    row: CitedRow
    parts: Mapping[str, Decimal]
    table: CitedTable

    @property
    def mean(self) -> Fraction:
        """The exact mean of the values."""
        return mean_of(self.parts.values())


def likely_slip(average: PrintedAverage, tables: Sequence[CitedTable]) -> str:
    """Return what explains a printed average best, in half a sentence; empty if nothing does.

    Tried in this order: the mean was cut off instead of rounded; a value of the row is printed
    differently elsewhere, and with that one the average agrees; one column was left out; the
    average of another method was printed; one leading digit is wrong; the last digit is off by one.
    """
    explanations = (
        _cut_off,
        _other_value,
        _column_left_out,
        _average_of_another,
        _wrong_digit,
        _last_digit,
    )
    for explain in explanations:
        found = explain(average, tables)
        if found:
            return found
    return ""


def agrees(printed: Decimal, exact: Fraction) -> bool:
    """Return whether ``exact``, rounded to the digits of ``printed``, can yield it."""
    return abs(Fraction(printed) - exact) <= Fraction(1, 2 * 10 ** places(printed))


def places(value: Decimal) -> int:
    """Return how many decimal places a printed value has."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), "loading admits finite numbers only"
    return -exponent


def rounded(value: Fraction, digits: int) -> Decimal:
    """Return ``value`` with ``digits`` decimal places; an exact half goes to the even digit."""
    return Decimal(round(value * 10**digits)).scaleb(-digits)


def mean_of(values: Iterable[Decimal]) -> Fraction:
    """Return the exact mean of decimals."""
    numbers = [Fraction(value) for value in values]
    return sum(numbers, Fraction()) / len(numbers)


def _cut_off(average: PrintedAverage, tables: Sequence[CitedTable]) -> str:
    digits = 10 ** places(average.row.value)
    cut = Fraction(int(average.mean * digits), digits)
    return CUT_OFF if cut == Fraction(average.row.value) else ""


def _other_value(average: PrintedAverage, tables: Sequence[CitedTable]) -> str:
    for table in tables:
        own = (average.row.source, average.row.table)
        if table.setting != average.row.setting or (table.source, table.table) == own:
            continue
        printed_in = f"{table.source} {table.table}"
        elsewhere = _values_of(table, average)
        for column, value in elsewhere.items():
            changed = {**average.parts, column: value}
            if agrees(average.row.value, mean_of(changed.values())):
                return f"agrees with {value} in {column}, as {printed_in} prints it"
        changed = {**average.parts, **elsewhere}
        if elsewhere and agrees(average.row.value, mean_of(changed.values())):
            return f"agrees with the values that {printed_in} prints"
    return ""


def _values_of(table: CitedTable, average: PrintedAverage) -> dict[str, Decimal]:
    """Return what ``table`` prints for the method, under the names of the average's columns."""
    values = table.values
    found = {}
    for column in average.table.columns:
        row = values.get((average.row.method, column.name, average.row.metric))
        if row is not None and column.dataset in average.parts:
            found[column.dataset] = row.value
    return found


def _column_left_out(average: PrintedAverage, tables: Sequence[CitedTable]) -> str:
    if len(average.parts) < 3:
        return ""
    for column in average.parts:
        others = [value for name, value in average.parts.items() if name != column]
        if agrees(average.row.value, mean_of(others)):
            return f"the mean without {column}"
    return ""


def _average_of_another(average: PrintedAverage, tables: Sequence[CitedTable]) -> str:
    """Compare with the rows above and below, where a copied value comes from."""
    row = average.row
    if _units_off(average) <= 1:  # neighbours often differ by so little
        return ""
    methods = average.table.methods
    place = methods.index(row.method)
    for method in methods[max(0, place - 1) : place + 2]:
        other = average.table.values.get((method, AVERAGE, row.metric))
        if method != row.method and other is not None and other.value == row.value:
            return f"equals the average of {method}"
    return ""


def _wrong_digit(average: PrintedAverage, tables: Sequence[CitedTable]) -> str:
    right = str(rounded(average.mean, places(average.row.value)))
    printed = str(average.row.value)
    if len(right) != len(printed) or right[-1] != printed[-1]:
        return ""
    different = [place for place, digit in enumerate(printed) if digit != right[place]]
    return f"one digit differs from {right}" if len(different) == 1 else ""


def _last_digit(average: PrintedAverage, tables: Sequence[CitedTable]) -> str:
    return "one off in the last digit" if _units_off(average) <= 1 else ""


def _units_off(average: PrintedAverage) -> Fraction:
    """Return how many units of the last digit lie between printed and rounded average."""
    digits = places(average.row.value)
    right = rounded(average.mean, digits)
    units: Fraction = abs(Fraction(average.row.value) - Fraction(right)) * 10**digits
    return units
