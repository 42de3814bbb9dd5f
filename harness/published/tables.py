"""Published tables: typed, with values as decimals exactly as printed, never as floats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from harness.config.errors import UsageError, did_you_mean

_YEAR = re.compile(r"'(\d\d)$")

AVERAGE = "average"
"""Name of the column of averages."""

AVERAGE_HEADING = "Average"
"""What every table and figure calls it."""


@dataclass(frozen=True)
class CitedMetric:
    """A metric as tables print it; the protocol says how exactly it was computed."""

    id: str
    label: str
    unit: str
    higher_is_better: bool


CITED_METRICS = {
    "psnr": CitedMetric("psnr", "PSNR", "dB", True),
    "ssim": CitedMetric("ssim", "SSIM", "", True),
    "lpips": CitedMetric("lpips", "LPIPS", "", False),
}


@dataclass(frozen=True)
class CitedRow:
    """One published value.

    Attributes:
        source: who prints it, as ``cpl``.
        table: which of the source's tables, as ``IV``.
        setting: name of the setting.
        column: name of the setting's column, or ``average``.
        dataset: the column as printed.
        method: the method under its one name.
        method_id: its name in this project, empty if it has none.
        printed_method: the method as this table spells it.
        venue: as printed, or empty.
        type: group of methods as printed, or empty.
        starred: whether the source marks the row as quoted from another one.
        params: parameters as printed, as ``36M`` or ``16M+17M``, or empty.
        metric: ``psnr``, ``ssim`` or ``lpips``.
        value: exactly the printed digits; ``str`` gives them back, trailing zeros too.
        average: ``printed``, ``computed`` (by whoever copied it out), or empty.
        protocol: id of the protocol where it is known, or empty.
        note: what is known to be odd about the value, or empty.
    """

    source: str
    table: str
    setting: str
    column: str
    dataset: str
    method: str
    method_id: str
    printed_method: str
    venue: str
    type: str
    starred: bool
    params: str
    metric: str
    value: Decimal
    average: str
    protocol: str
    note: str

    @property
    def year(self) -> int | None:
        """The year of the venue, as 2025 of ``CVPR'25``; None if none is printed."""
        found = _YEAR.search(self.venue)
        return 2000 + int(found[1]) if found else None

    @property
    def params_m(self) -> Decimal | None:
        """Parameters in millions; networks that are used together are summed."""
        if not self.params:
            return None
        parts = [Decimal(part.removesuffix("M")) for part in self.params.split("+")]
        return sum(parts, Decimal())


@dataclass(frozen=True)
class CitedColumn:
    """A column of a published table: the setting's name for it, the printed one, its heading."""

    name: str
    dataset: str
    group: str
    label: str


@dataclass(frozen=True)
class CitedTable:
    """One published table.

    ``reference`` says where it stands, ``protocol`` in words what is known of its scoring;
    ``columns`` come in printed order, without the average; rows in printed order.
    """

    source: str
    table: str
    setting: str
    title: str
    reference: str
    protocol: str
    columns: tuple[CitedColumn, ...]
    rows: tuple[CitedRow, ...]

    @property
    def methods(self) -> list[str]:
        """Return the methods in printed order."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def metrics(self) -> list[CitedMetric]:
        """Return the metrics in printed order."""
        found: dict[str, CitedMetric] = {}
        for row in self.rows:
            found[row.metric] = CITED_METRICS[row.metric]
        return list(found.values())

    @property
    def values(self) -> dict[tuple[str, str, str], CitedRow]:
        """Return the rows by method, column (or ``average``) and metric."""
        return {(row.method, row.column, row.metric): row for row in self.rows}


def tables_of(
    tables: Sequence[CitedTable], setting: str, source: str | None = None
) -> list[CitedTable]:
    """Return the tables of a setting, or those of them that one source prints.

    Raises:
        UsageError: nothing is published of the setting, or by that source.
    """
    found = [table for table in tables if table.setting == setting]
    if not found:
        known = did_you_mean(setting, {table.setting for table in tables})
        raise UsageError(f"no published table of setting '{setting}'; {known}")
    if source is None:
        return found
    chosen = [table for table in found if table.source == source]
    if not chosen:
        known = did_you_mean(source, {table.source for table in found})
        raise UsageError(f"'{source}' prints no table of setting '{setting}'; {known}")
    return chosen
