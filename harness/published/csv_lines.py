"""Lines of the CSV files of published numbers, read strictly."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from harness.config.errors import HarnessError, other_columns
from harness.published.tables import CitedRow

PRINTED_DECIMAL = re.compile(r"\d+\.\d+")
"""How values are written."""

PRINTED_PARAMETERS = re.compile(r"\d+(\.\d+)?M(\+\d+(\.\d+)?M)*")
"""How parameters are written: ``36M``, or ``16M+17M`` of networks that are used together."""

Line = dict[str, str]


def check_printed(where: str, line: Line) -> None:
    """Refuse a value or parameters that are not written as tables print them.

    Raises:
        HarnessError: names the place and the text.
    """
    if not PRINTED_DECIMAL.fullmatch(line["value"]):
        raise HarnessError(f"{where}: '{line['value']}' is no printed decimal number")
    if line["params"] and not PRINTED_PARAMETERS.fullmatch(line["params"]):
        raise HarnessError(f"{where}: '{line['params']}' are no parameters such as 36M or 16M+17M")


def cited_row(line: Line, method_id: str) -> CitedRow:
    """Return the published value of a line that has every field of a row but the method's id."""
    return CitedRow(
        source=line["source"],
        table=line["table"],
        setting=line["setting"],
        column=line["column"],
        dataset=line["dataset"],
        method=line["method"],
        method_id=method_id,
        printed_method=line["printed_method"],
        venue=line["venue"],
        type=line["type"],
        starred=bool(line["starred"]),
        params=line["params"],
        metric=line["metric"],
        value=Decimal(line["value"]),
        average=line["average"],
        protocol=line["protocol"],
        note=line["note"],
    )


def csv_lines(path: Path, fields: Sequence[str]) -> Iterator[tuple[str, Line]]:
    """Yield each line as a dictionary, with the words that name its place."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            head = next(reader, [])
            if tuple(head) != tuple(fields):
                raise HarnessError(
                    f"{path} {other_columns(head, fields)}; put the published file back"
                )
            for values in reader:
                where = f"{path}, line {reader.line_num}"
                if len(values) != len(fields):
                    raise HarnessError(f"{where}: {len(values)} fields instead of {len(fields)}")
                if any(value != value.strip() for value in values):
                    raise HarnessError(f"{where}: a field begins or ends with a space")
                yield where, dict(zip(fields, values, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HarnessError(
            f"{path} cannot be read ({error}); put the published file back"
        ) from error
