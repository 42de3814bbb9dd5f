"""Many results by column: numbers as arrays, names as codes into a list of the different ones.

A million results are a few dozen megabytes this way, and a table is made of them without an object
for each. One that is asked for is made then, so they stand wherever a sequence of results does.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from harness.store.results import RESULT_FIELDS, Result

NAME_FIELDS = tuple(name for name in RESULT_FIELDS if name not in ("seed", "value"))
"""The fields of a result that are text."""

Rows = slice | NDArray[np.intp]


class Vocabulary(tuple[str, ...]):
    """The different names of a column, by their codes."""

    @functools.cached_property
    def codes(self) -> dict[str, int]:
        """The code of each name."""
        return {name: code for code, name in enumerate(self)}


@dataclass(frozen=True)
class NameColumn:
    """Text of many rows.

    Attributes:
        codes: (rows), places in ``names``.
        names: the different ones; some may stand in no row.
    """

    codes: NDArray[np.signedinteger[Any]]
    names: Vocabulary

    @classmethod
    def of(cls, codes: NDArray[np.signedinteger[Any]], names: Iterable[str]) -> NameColumn:
        """Return a column whose codes take no more bytes than they need."""
        vocabulary = Vocabulary(names)
        small = np.min_scalar_type(-max(len(vocabulary), 1))
        return cls(codes.astype(small, copy=False), vocabulary)


@dataclass(frozen=True)
class ResultTable:
    """Rows that several :class:`ResultColumns` may share.

    Attributes:
        names: by field, its text.
        seeds: (rows).
        values: (rows), in the unit of the metric.
    """

    names: Mapping[str, NameColumn]
    seeds: NDArray[np.int64]
    values: NDArray[np.float64]


class ResultColumns(Sequence[Result]):
    """Results in order, stored by column."""

    def __init__(self, table: ResultTable, rows: Rows | None = None) -> None:
        self._table = table
        self._rows: Rows = slice(0, len(table.values)) if rows is None else rows

    @classmethod
    def of(cls, results: Sequence[Result]) -> ResultColumns:
        """Return results by column; what is so already stays."""
        if isinstance(results, ResultColumns):
            return results
        names = {}
        for field in NAME_FIELDS:
            texts = [getattr(result, field) for result in results]
            different = Vocabulary(dict.fromkeys(texts))
            codes = np.fromiter(map(different.codes.__getitem__, texts), np.int32, len(texts))
            names[field] = NameColumn.of(codes, different)
        seeds = np.array([result.seed for result in results], dtype=np.int64)
        values = np.array([result.value for result in results], dtype=np.float64)
        return cls(ResultTable(names, seeds, values))

    @classmethod
    def joined(cls, parts: Iterable[Sequence[Result]]) -> ResultColumns:
        """Return the results of several sequences, one after the other."""
        columns = cls._joined_neighbours([cls.of(part) for part in parts if part])
        if not columns:
            return cls.of(())
        if len(columns) == 1:
            return columns[0]
        names = {}
        for field in NAME_FIELDS:
            names[field] = _joined_names([part.column(field) for part in columns])
        seeds = np.concatenate([part.seeds for part in columns])
        values = np.concatenate([part.values for part in columns])
        return cls(ResultTable(names, seeds, values))

    @classmethod
    def _joined_neighbours(cls, parts: Sequence[ResultColumns]) -> list[ResultColumns]:
        """Join what stands one after the other and is of one table."""
        found = []
        for _, neighbours in itertools.groupby(parts, key=lambda part: id(part._table)):
            same = list(neighbours)
            rows = _joined_rows([part._rows for part in same])
            found.append(cls(same[0]._table, rows))
        return found

    @property
    def seeds(self) -> NDArray[np.int64]:
        """(rows)."""
        return self._table.seeds[self._rows]

    @property
    def values(self) -> NDArray[np.float64]:
        """(rows), each in the unit of its metric."""
        return self._table.values[self._rows]

    @property
    def nbytes(self) -> int:
        """The bytes of these rows, without their names, at most."""
        return len(self) * (np.int32().nbytes * len(NAME_FIELDS) + 16)

    def column(self, field: str) -> NameColumn:
        """Return the text of a field."""
        whole = self._table.names[field]
        return NameColumn(whole.codes[self._rows], whole.names)

    def texts(self, field: str) -> list[str]:
        """Return the text of a field, row by row."""
        column = self.column(field)
        return list(map(column.names.__getitem__, column.codes.tolist()))

    def distinct(self, field: str) -> list[str]:
        """Return the different names of a field, in the order in which they appear."""
        column = self.column(field)
        if len(self) and (column.codes == column.codes[0]).all():
            return [column.names[column.codes[0]]]
        codes, first = np.unique(column.codes, return_index=True)
        return [column.names[code] for code in codes[np.argsort(first)].tolist()]

    def select(self, chosen: NDArray[np.bool_]) -> ResultColumns:
        """Return the rows for which ``chosen`` (rows) is true."""
        return self if chosen.all() else self._at(np.flatnonzero(chosen))

    def _at(self, places: NDArray[np.intp]) -> ResultColumns:
        """Return the rows at ``places``."""
        if isinstance(self._rows, slice):
            return ResultColumns(self._table, places + self._rows.start)
        return ResultColumns(self._table, self._rows[places])

    def of_score(self, score_id: str) -> ResultColumns:
        """Return the rows of one score."""
        column = self.column("score")
        code = column.names.codes.get(score_id, -1)
        return self.select(column.codes == code)

    def are(self, field: str, is_wanted: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Return for each row whether its name of ``field`` is wanted."""
        column = self.column(field)
        used = np.unique(column.codes) if len(self) < len(column.names) else None
        answers = np.zeros(len(column.names), dtype=np.bool_)
        for code in range(len(column.names)) if used is None else used.tolist():
            answers[code] = is_wanted(column.names[code])
        found: NDArray[np.bool_] = answers[column.codes]
        return found

    def renamed(self, field: str, rename: Callable[[str], str]) -> ResultColumns:
        """Return the same rows with other names in one field."""
        column = self.column(field)
        used, codes = np.unique(column.codes, return_inverse=True)
        renamed = [rename(column.names[code]) for code in used.tolist()]
        if renamed == [column.names[code] for code in used.tolist()]:
            return self
        names = {other: self.column(other) for other in NAME_FIELDS}
        different = Vocabulary(dict.fromkeys(renamed))
        places = np.array([different.codes[name] for name in renamed], dtype=np.int32)
        names[field] = NameColumn.of(places[codes], different)
        return ResultColumns(ResultTable(names, self.seeds, self.values))

    def with_name(self, field: str, name: str) -> ResultColumns:
        """Return the same rows with one name in a field."""
        return self.renamed(field, lambda known: name)

    def scored(self) -> set[tuple[str, str, str]]:
        """Return column, image and metric of all rows."""
        names = [self.texts(field) for field in ("column", "image", "metric")]
        return set(zip(*names, strict=True))

    def by(self, field: str) -> dict[str, ResultColumns]:
        """Return the rows by their name of ``field``, in the order in which names appear."""
        column = self.column(field)
        order = np.argsort(column.codes, kind="stable")
        ends = np.flatnonzero(np.diff(column.codes[order])) + 1
        groups = [group for group in np.split(order, ends) if len(group)]
        found = {}
        for places in sorted(groups, key=lambda group: int(group[0])):
            found[column.names[column.codes[places[0]]]] = self._at(places)
        return found

    def __len__(self) -> int:
        if isinstance(self._rows, slice):
            return int(self._rows.stop - self._rows.start)
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Result: ...

    @overload
    def __getitem__(self, place: slice) -> ResultColumns: ...

    def __getitem__(self, place: int | slice) -> Result | ResultColumns:
        places = np.arange(len(self), dtype=np.intp)[place]
        if isinstance(place, slice):
            whole = np.arange(len(self._table.values), dtype=np.intp)[self._rows]
            return ResultColumns(self._table, whole[places])
        row = int(places) + self._rows.start if isinstance(self._rows, slice) else places
        row = row if isinstance(self._rows, slice) else self._rows[place]
        return self._result(int(row))

    def __iter__(self) -> Iterator[Result]:
        columns: dict[str, Iterable[Any]] = {name: self.texts(name) for name in NAME_FIELDS}
        columns["seed"] = self.seeds.tolist()
        columns["value"] = self.values.tolist()
        return map(Result, *(columns[name] for name in RESULT_FIELDS))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} results>"

    def _result(self, row: int) -> Result:
        content: dict[str, Any] = {}
        for field, column in self._table.names.items():
            content[field] = column.names[column.codes[row]]
        seed, value = int(self._table.seeds[row]), float(self._table.values[row])
        return Result(**content, seed=seed, value=value)


def _joined_rows(rows: Sequence[Rows]) -> Rows:
    """Return rows of one table one after the other: a slice where they lie so."""
    found: list[Rows] = []
    for part in rows:
        last = found[-1] if found else None
        if isinstance(last, slice) and isinstance(part, slice) and last.stop == part.start:
            found[-1] = slice(last.start, part.stop)
        else:
            found.append(part)
    if len(found) == 1:
        return found[0]
    places = []
    for part in found:
        is_slice = isinstance(part, slice)
        places.append(np.arange(part.start, part.stop) if is_slice else part)  # type: ignore[union-attr]
    return np.concatenate(places)  # type: ignore[arg-type]


def _joined_names(columns: Sequence[NameColumn]) -> NameColumn:
    """Return columns of different vocabularies one after the other."""
    known: dict[str, int] = {}
    codes: list[NDArray[Any]] = []
    of_vocabulary: dict[int, NDArray[np.int32]] = {}
    for column in columns:
        places = of_vocabulary.get(id(column.names))
        if places is None:
            found = [known.setdefault(name, len(known)) for name in column.names]
            places = of_vocabulary[id(column.names)] = np.array(found, dtype=np.int32)
        codes.append(places[column.codes])
    return NameColumn.of(np.concatenate(codes), known)
