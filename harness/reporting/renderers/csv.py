"""The values of a table as CSV, in full precision."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

from harness.config.quoting import not_computed
from harness.reporting.table import Table


def render(table: Table) -> str:
    """Return one line per value under the table's fields."""
    return lines(table.fields, table.records)


def lines(fields: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """Return one line per record under ``fields``."""
    stream = StringIO()
    writer = csv.DictWriter(stream, fields, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({key: not_computed(value) for key, value in record.items()})
    return stream.getvalue()
