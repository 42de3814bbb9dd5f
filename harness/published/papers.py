"""Tables of one paper in one file: ``papers/NAME.csv`` holds all that its rows need.

The file's name is the source. Columns have the setting's names, methods are spelled as printed, and
one that no other table has needs no line elsewhere. :func:`~harness.published.audit.audit` checks
such tables like all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError, did_you_mean
from harness.config.files import load_protocol, protocol_names
from harness.published.csv_lines import (
    Line,
    check_printed,
    cited_row,
    csv_lines,
)
from harness.published.tables import AVERAGE, CITED_METRICS, CitedColumn, CitedRow, CitedTable

PAPER_FIELDS = (
    *("table", "title", "reference", "setting", "column", "method", "venue", "params"),
    *("metric", "value", "average", "protocol", "note"),
)
"""Fields of a line; ``title``, ``venue``, ``params``, ``average``, ``protocol`` and ``note`` may be
empty."""

_NEEDED = ("table", "reference", "setting", "column", "method")
_NOT_STATED = "not stated"


@dataclass(frozen=True)
class _Known:
    """What lines may name, from the tables that are there already.

    Attributes:
        titles: by setting.
        columns: by setting, its columns by name.
        methods: printed spelling -> (the one name, name in this project).
        protocols: ids of the rules that are known here.
        sources: of the other tables.
    """

    titles: dict[str, str]
    columns: dict[str, dict[str, CitedColumn]]
    methods: dict[str, tuple[str, str]]
    protocols: frozenset[str]
    sources: frozenset[str]

    @classmethod
    def of(cls, tables: Sequence[CitedTable]) -> _Known:
        titles: dict[str, str] = {}
        columns: dict[str, dict[str, CitedColumn]] = {}
        methods: dict[str, tuple[str, str]] = {}
        for table in tables:
            titles.setdefault(table.setting, table.title)
            of_setting = columns.setdefault(table.setting, {})
            for column in table.columns:
                of_setting.setdefault(column.name, column)
            for row in table.rows:
                methods[row.printed_method] = (row.method, row.method_id)
        rules = frozenset(load_protocol(name).protocol.id for name in protocol_names())
        return cls(titles, columns, methods, rules, frozenset(table.source for table in tables))


def load_papers(folder: Path, tables: Sequence[CitedTable]) -> list[CitedTable]:
    """Read the files of a folder; none where there is no folder.

    Args:
        folder: ``papers`` of the published numbers.
        tables: those that are read already, which say what settings, columns and methods there are.

    Raises:
        HarnessError: a name or number that does not fit; names file and line.
    """
    found: list[CitedTable] = []
    paths = sorted(folder.glob("*.csv"))
    known = _Known.of(tables) if paths else None
    for path in paths:
        assert known is not None
        if path.stem in known.sources:
            raise HarnessError(f"{path}: source '{path.stem}' is in tables.csv; rename the file")
        found += _tables_of(path, known)
    return found


def _tables_of(path: Path, known: _Known) -> list[CitedTable]:
    lines: dict[tuple[str, str], list[Line]] = {}
    seen = set()
    for where, line in csv_lines(path, PAPER_FIELDS):
        _check(where, line, known)
        value = (line["table"], line["setting"], line["column"], line["method"], line["metric"])
        if value in seen:
            raise HarnessError(f"{where}: {', '.join(value)} has a value already")
        seen.add(value)
        lines.setdefault((line["table"], line["setting"]), []).append(line)
    names = [table for table, _ in lines]
    for name in names:
        if names.count(name) > 1:
            raise HarnessError(f"{path}: table {name} is of two settings; give it two names")
    return [_table(path.stem, of_table, known) for of_table in lines.values()]


def _table(source: str, lines: Sequence[Line], known: _Known) -> CitedTable:
    first = lines[0]
    setting = first["setting"]
    present = {line["column"] for line in lines}
    columns = [column for name, column in known.columns[setting].items() if name in present]
    rules = dict.fromkeys(line["protocol"] or _NOT_STATED for line in lines)
    return CitedTable(
        source=source,
        table=first["table"],
        setting=setting,
        title=first["title"] or known.titles[setting],
        reference=first["reference"],
        protocol="; ".join(rules),
        columns=tuple(columns),
        rows=tuple(_row(source, line, known) for line in lines),
    )


def _row(source: str, line: Line, known: _Known) -> CitedRow:
    method, method_id = known.methods.get(line["method"], (line["method"], ""))
    column = known.columns[line["setting"]].get(line["column"])
    whole = {
        **line,
        "source": source,
        "dataset": column.dataset if column else "",
        "method": method,
        "printed_method": line["method"],
        "type": "",
        "starred": "",
    }
    return cited_row(whole, method_id)


def _check(where: str, line: Line, known: _Known) -> None:
    for name in _NEEDED:
        if not line[name]:
            raise HarnessError(f"{where}: '{name}' is empty")
    _check_name(where, "setting", line["setting"], known.columns)
    columns = known.columns[line["setting"]]
    _check_name(where, "column", line["column"], [*columns, AVERAGE])
    _check_name(where, "metric", line["metric"], CITED_METRICS)
    if line["protocol"]:
        _check_name(where, "protocol", line["protocol"], known.protocols)
    if (line["column"] == AVERAGE) != (line["average"] in ("printed", "computed")):
        raise HarnessError(
            f"{where}: average is 'printed' or 'computed' in column '{AVERAGE}', else empty"
        )
    check_printed(where, line)


def _check_name(where: str, kind: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        raise HarnessError(f"{where}: unknown {kind} '{name}'; {did_you_mean(name, names)}")
