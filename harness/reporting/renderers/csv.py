"""The values of a table as CSV, in full precision."""

from __future__ import annotations

import csv
from io import StringIO

from harness.reporting.table import Table


def render(table: Table) -> str:
    """Return one line per value under the table's fields."""
    stream = StringIO()
    writer = csv.DictWriter(stream, table.fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.records)
    return stream.getvalue()
