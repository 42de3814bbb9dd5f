"""Reading published numbers, strictly: nothing is guessed and nothing is left out.

``results/published/`` holds them (its README describes the fields and names the sources); the
wheel has that folder in the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError, did_you_mean
from harness.config.package import PACKAGE_FOLDER
from harness.published.csv_lines import (
    Line,
    check_printed,
    cited_row,
    csv_lines,
)
from harness.published.papers import load_papers
from harness.published.tables import AVERAGE, CITED_METRICS, CitedColumn, CitedRow, CitedTable

_TABLE_FIELDS = ("source", "table", "setting", "title", "reference", "protocol")
_COLUMN_FIELDS = ("setting", "source", "column", "dataset", "group", "label")
_METHOD_FIELDS = ("method", "id", "printed")
_ROW_FIELDS = (
    *("source", "table", "setting", "column", "dataset", "method", "printed_method", "venue"),
    *("type", "starred", "params", "metric", "value", "average", "protocol", "note"),
)

TableKey = tuple[str, str]
"""Source and name of a table."""


def published_folder() -> Path:
    """Return the folder of published numbers: in the wheel, or of a checkout.

    Raises:
        HarnessError: the installation holds none.
    """
    for root in (PACKAGE_FOLDER, PACKAGE_FOLDER.parent):
        folder = root / "results" / "published"
        if (folder / "tables.csv").is_file():
            return folder
    raise HarnessError(
        f"no published numbers beside {PACKAGE_FOLDER}; install it again with pip install -e ."
    )


def load_published(folder: Path | None = None) -> tuple[CitedTable, ...]:
    """Read all tables, in the order of ``tables.csv``, and then those of ``papers/``.

    Raises:
        HarnessError: a file, field, name or number that does not belong there, or a value that
            is given twice; the message names file and line.
    """
    folder = folder or published_folder()
    methods = _read_methods(folder / "methods.csv")
    columns = _read_columns(folder / "columns.csv")
    tables = _read_tables(folder / "tables.csv", columns)
    names = _Names(methods, columns, tables)
    rows: dict[TableKey, list[CitedRow]] = {}
    for source in names.sources:
        for row in _read_rows(folder / f"{source}.csv", source, names):
            rows.setdefault((row.source, row.table), []).append(row)
    found = []
    for key, line in tables.items():
        source, table = key
        if key not in rows:
            raise HarnessError(f"{folder / f'{source}.csv'} holds no row of table {table}")
        shown = _columns_with_values(names.columns_of(line["setting"], source), rows[key])
        found.append(CitedTable(**line, columns=shown, rows=tuple(rows[key])))
    return (*found, *load_papers(folder / "papers", found))


@dataclass(frozen=True)
class _Names:
    """What rows may name.

    Attributes:
        methods: printed spelling -> (the one name, name in this project).
        columns: setting and source -> the columns as that source prints them; the source is
            empty for what the others print.
        tables: source and table -> the line of ``tables.csv``.
    """

    methods: Mapping[str, tuple[str, str]]
    columns: Mapping[tuple[str, str], tuple[CitedColumn, ...]]
    tables: Mapping[TableKey, Line]

    def columns_of(self, setting: str, source: str) -> tuple[CitedColumn, ...]:
        """Return the columns of a setting as a source prints them."""
        return self.columns.get((setting, source)) or self.columns[setting, ""]

    @property
    def sources(self) -> list[str]:
        """The sources of all tables, in order."""
        return list(dict.fromkeys(source for source, _ in self.tables))


def _read_methods(path: Path) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for where, line in csv_lines(path, _METHOD_FIELDS):
        for spelling in line["printed"].split("|"):
            if not spelling or not line["method"]:
                raise HarnessError(f"{where}: a method without a name or a spelling")
            if spelling in found:
                raise HarnessError(f"{where}: '{spelling}' is already {found[spelling][0]}")
            found[spelling] = (line["method"], line["id"])
    return found


def _columns_with_values(
    columns: Sequence[CitedColumn], rows: Sequence[CitedRow]
) -> tuple[CitedColumn, ...]:
    """Return the columns in which a table has values; a table may be of averages alone."""
    filled = {row.column for row in rows}
    return tuple(column for column in columns if column.name in filled)


def _read_columns(path: Path) -> dict[tuple[str, str], tuple[CitedColumn, ...]]:
    found: dict[tuple[str, str], tuple[CitedColumn, ...]] = {}
    for where, line in csv_lines(path, _COLUMN_FIELDS):
        column = CitedColumn(line["column"], line["dataset"], line["group"], line["label"])
        key = line["setting"], line["source"]
        known = found.get(key, ())
        if any(column.name == other.name or column.dataset == other.dataset for other in known):
            raise HarnessError(f"{where}: the column is given twice")
        found[key] = (*known, column)
    return found


def _read_tables(
    path: Path, columns: Mapping[tuple[str, str], tuple[CitedColumn, ...]]
) -> dict[TableKey, Line]:
    found: dict[TableKey, Line] = {}
    settings = {setting for setting, _ in columns}
    for where, line in csv_lines(path, _TABLE_FIELDS):
        if line["setting"] not in settings:
            known = did_you_mean(line["setting"], settings)
            raise HarnessError(f"{where}: setting '{line['setting']}' has no columns; {known}")
        key = line["source"], line["table"]
        if key in found:
            raise HarnessError(f"{where}: {line['source']} {line['table']} is given twice")
        found[key] = line
    return found


def _read_rows(path: Path, source: str, names: _Names) -> Iterator[CitedRow]:
    seen = set()
    for where, line in csv_lines(path, _ROW_FIELDS):
        _check_table(where, line, source, names)
        _check_column(where, line, names)
        _check_value(where, line)
        row = cited_row(line, _method_id(where, line, names))
        key = (row.table, row.method, row.column, row.metric)
        if key in seen:
            raise HarnessError(f"{where}: {', '.join(key)} has a value already")
        seen.add(key)
        yield row


def _check_table(where: str, line: Line, source: str, names: _Names) -> None:
    table = names.tables.get((line["source"], line["table"]))
    if table is None or line["source"] != source:
        raise HarnessError(
            f"{where}: table '{line['table']}' of '{line['source']}' does not belong here"
        )
    if line["setting"] != table["setting"]:
        raise HarnessError(f"{where}: the table's setting is {table['setting']}")


def _check_column(where: str, line: Line, names: _Names) -> None:
    expected = AVERAGE if line["average"] else None
    for column in names.columns_of(line["setting"], line["source"]):
        if not line["average"] and column.dataset == line["dataset"]:
            expected = column.name
    if line["column"] != expected or line["average"] not in ("", "printed", "computed"):
        raise HarnessError(
            f"{where}: column '{line['column']}' is not '{line['dataset']}' "
            f"(average: '{line['average']}') of columns.csv"
        )


def _method_id(where: str, line: Line, names: _Names) -> str:
    """Return the name in this project of a row's method, empty if it has none."""
    method, method_id = names.methods.get(line["printed_method"], ("", ""))
    if line["method"] != method:
        raise HarnessError(
            f"{where}: '{line['printed_method']}' is '{method}' in methods.csv, not "
            f"'{line['method']}'; {did_you_mean(line['printed_method'], names.methods)}"
        )
    return method_id


def _check_value(where: str, line: Line) -> None:
    if line["metric"] not in CITED_METRICS:
        known = did_you_mean(line["metric"], CITED_METRICS)
        raise HarnessError(f"{where}: unknown metric '{line['metric']}'; {known}")
    check_printed(where, line)
    if line["starred"] not in ("", "yes"):
        raise HarnessError(f"{where}: starred is 'yes' or empty, not '{line['starred']}'")
