"""Published numbers: typed, strictly read, as text and as decimals, never as floats.

``results/published/`` holds them (its README describes the fields and names the sources); in the
wheel they travel in ``harness/published``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import harness
from harness.config.errors import HarnessError, UsageError, did_you_mean

AVERAGE = "average"

_TABLES = ("source", "table", "setting", "title", "reference", "protocol")
_COLUMNS = ("setting", "column", "dataset", "group", "label")
_METHODS = ("method", "id", "printed")
_ROWS = (
    *("source", "table", "setting", "column", "dataset", "method", "printed_method", "venue"),
    *("type", "starred", "metric", "value", "average", "protocol", "note"),
)
_DECIMAL = re.compile(r"\d+\.\d+")

Line = dict[str, str]


@dataclass(frozen=True)
class CitedMetric:
    """A metric as tables print it; how exactly it was taken is the protocol's affair."""

    id: str
    label: str
    unit: str
    higher_is_better: bool


CITED_METRICS = {
    metric.id: metric
    for metric in (
        CitedMetric("psnr", "PSNR", "dB", True),
        CitedMetric("ssim", "SSIM", "", True),
        CitedMetric("lpips", "LPIPS", "", False),
    )
}


@dataclass(frozen=True)
class CitedRow:
    """One published value.

    Attributes:
        source: who prints it, as ``cpl``.
        table: which of the source's tables, as ``IV``.
        setting: name of the setting's card.
        column: name of the card's column, or ``average``.
        dataset: the column as printed.
        method: the method under its one name.
        method_id: its name in this harness, empty if it has none.
        printed_method: the method as this table spells it.
        venue: as printed, or empty.
        type: group of methods as printed, or empty.
        starred: whether the source marks the row as quoted from elsewhere.
        metric: ``psnr``, ``ssim`` or ``lpips``.
        value: exactly the printed digits; ``str`` gives them back, trailing zeros too.
        average: ``printed``, ``computed`` (by whoever copied it out), or empty.
        protocol: id of the rule of scoring where it is known, or empty.
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
    metric: str
    value: Decimal
    average: str
    protocol: str
    note: str


@dataclass(frozen=True)
class CitedColumn:
    """A column of a published table: the card's name, the printed one, and its heading."""

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
        return [CITED_METRICS[name] for name in dict.fromkeys(row.metric for row in self.rows)]

    @property
    def values(self) -> dict[tuple[str, str, str], CitedRow]:
        """Return the rows by method, column (or ``average``) and metric."""
        return {(row.method, row.column, row.metric): row for row in self.rows}


def published_folder() -> Path:
    """Return the folder of published numbers: in the wheel, or of a checkout.

    Raises:
        HarnessError: the installation holds none.
    """
    package = Path(harness.__file__).parent
    for folder in (package / "published", package.parent / "results" / "published"):
        if (folder / "tables.csv").is_file():
            return folder
    raise HarnessError(f"no published numbers beside {package}; install the package again with pip")


def load_published(folder: Path | None = None) -> tuple[CitedTable, ...]:
    """Read all tables, in the order of ``tables.csv``; nothing is guessed or left out.

    Raises:
        HarnessError: a file, field, name or number that does not belong there, or a value that
            stands twice; the message names file and line.
    """
    folder = folder or published_folder()
    methods = _methods(folder / "methods.csv")
    columns = _columns(folder / "columns.csv")
    tables: dict[tuple[str, str], Line] = {}
    for where, line in _lines(folder / "tables.csv", _TABLES):
        if line["setting"] not in columns:
            known = did_you_mean(line["setting"], columns)
            raise HarnessError(f"{where}: setting '{line['setting']}' has no columns; {known}")
        if tables.setdefault((line["source"], line["table"]), line) is not line:
            raise HarnessError(f"{where}: {line['source']} {line['table']} stands twice")
    rows: dict[tuple[str, str], list[CitedRow]] = {key: [] for key in tables}
    for source in dict.fromkeys(source for source, _ in tables):
        path = folder / f"{source}.csv"
        seen = set()
        for where, line in _lines(path, _ROWS):
            row = _row(where, line, source, tables, columns, methods)
            key = (row.table, row.method, row.column, row.metric)
            if key in seen:
                raise HarnessError(f"{where}: {', '.join(key)} has a value already")
            seen.add(key)
            rows[row.source, row.table].append(row)
    for (source, name), found in rows.items():
        if not found:
            raise HarnessError(f"{folder / f'{source}.csv'} holds no row of table {name}")
    return tuple(
        CitedTable(**line, columns=columns[line["setting"]], rows=tuple(rows[key]))
        for key, line in tables.items()
    )


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


def _lines(path: Path, fields: Sequence[str]) -> Iterator[tuple[str, Line]]:
    """Yield each line as a dictionary, with the words that tell where it stands."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            head = next(reader, [])
            if tuple(head) != tuple(fields):
                raise HarnessError(
                    f"{path} does not begin with the fields {','.join(fields)}; "
                    "put the published file back"
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


def _methods(path: Path) -> dict[str, tuple[str, str]]:
    """Return printed spelling -> (the one name, name in this harness)."""
    found: dict[str, tuple[str, str]] = {}
    for where, line in _lines(path, _METHODS):
        for spelling in line["printed"].split("|"):
            if not spelling or not line["method"]:
                raise HarnessError(f"{where}: a method without a name or a spelling")
            if spelling in found:
                raise HarnessError(f"{where}: '{spelling}' is already {found[spelling][0]}")
            found[spelling] = (line["method"], line["id"])
    return found


def _columns(path: Path) -> dict[str, tuple[CitedColumn, ...]]:
    found: dict[str, tuple[CitedColumn, ...]] = {}
    for where, line in _lines(path, _COLUMNS):
        column = CitedColumn(line["column"], line["dataset"], line["group"], line["label"])
        known = found.get(line["setting"], ())
        if any(column.name == other.name or column.dataset == other.dataset for other in known):
            raise HarnessError(f"{where}: the column stands twice")
        found[line["setting"]] = (*known, column)
    return found


def _row(
    where: str,
    line: Line,
    source: str,
    tables: Mapping[tuple[str, str], Line],
    columns: Mapping[str, tuple[CitedColumn, ...]],
    methods: Mapping[str, tuple[str, str]],
) -> CitedRow:
    table = tables.get((line["source"], line["table"]))
    if table is None or line["source"] != source:
        raise HarnessError(
            f"{where}: table '{line['table']}' of '{line['source']}' does not belong here"
        )
    if line["setting"] != table["setting"]:
        raise HarnessError(f"{where}: the table's setting is {table['setting']}")
    names = {column.dataset: column.name for column in columns[line["setting"]]}
    expected = AVERAGE if line["average"] else names.get(line["dataset"])
    if line["column"] != expected or line["average"] not in ("", "printed", "computed"):
        raise HarnessError(
            f"{where}: column '{line['column']}' is not '{line['dataset']}' "
            f"(average: '{line['average']}') of columns.csv"
        )
    method, identifier = methods.get(line["printed_method"], ("", ""))
    if line["method"] != method:
        raise HarnessError(
            f"{where}: '{line['printed_method']}' is '{method}' in methods.csv, not "
            f"'{line['method']}'; {did_you_mean(line['printed_method'], methods)}"
        )
    if line["metric"] not in CITED_METRICS:
        known = did_you_mean(line["metric"], CITED_METRICS)
        raise HarnessError(f"{where}: unknown metric '{line['metric']}'; {known}")
    if not _DECIMAL.fullmatch(line["value"]):
        raise HarnessError(f"{where}: '{line['value']}' is no printed decimal number")
    if line["starred"] not in ("", "yes"):
        raise HarnessError(f"{where}: starred is 'yes' or empty, not '{line['starred']}'")
    typed = {"method_id": identifier, "starred": bool(line["starred"])}
    return CitedRow(**{**line, **typed, "value": Decimal(line["value"])})  # type: ignore[arg-type]
