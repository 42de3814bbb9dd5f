"""Reading the JSON lines of many results fast.

Lines are as this project writes them, so one expression takes them apart and a checksum is that of
the line's bytes. A block with any other line (of an older version, cut off, damaged) goes to
:func:`harness.store.results.parsed_lines`, which accepts whatever a result may look like and names
what is none.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError
from harness.store.files import not_read
from harness.store.result_columns import NAME_FIELDS, NameColumn, ResultColumns, ResultTable
from harness.store.results import Origin, check_possible, parsed_lines

BLOCK_BYTES = 4 * 2**20
"""Bytes that are taken apart at once."""

_PLAIN = rb"[ !#-\[\]-~]*"
_TEXT = rb'"%s(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})%s)*"' % (_PLAIN, _PLAIN)
_USUAL = 1000.0
_WHOLE = rb"-?(?:0|[1-9][0-9]{0,17})"
_NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|NaN|-?Infinity"
_CHECKSUM = "crc32"
_CHECKSUM_BYTES = len('"crc32": "00000000", ')
_BEFORE_COLUMN = len('{"column": ')
_LINE_FIELDS = tuple(sorted((*NAME_FIELDS, "seed", "value", _CHECKSUM)))
_PATTERNS = {"seed": _WHOLE, "value": _NUMBER, _CHECKSUM: rb'"[0-9a-f]{8}"'}


def _line_pattern() -> re.Pattern[bytes]:
    parts = []
    for field in _LINE_FIELDS:
        parts.append(rb'"%s": (%s)' % (field.encode(), _PATTERNS.get(field, _TEXT)))
    return re.compile(rb"^\{" + b", ".join(parts) + rb"\}$", re.MULTILINE)


_LINE = _line_pattern()


@dataclass(frozen=True)
class Fingerprint:
    """What tells whether a file of rows is the one that was read.

    Attributes:
        size: bytes.
        mtime_ns: time of its last change, in nanoseconds since the epoch.
        crc32: of its bytes.
    """

    size: int
    mtime_ns: int
    crc32: int


@dataclass(frozen=True)
class ReadFile:
    """The results of one file, and what the file was when it was read."""

    results: ResultColumns
    fingerprint: Fingerprint


@dataclass(frozen=True)
class _Piece:
    """Whole lines of one file, the last of a file perhaps cut off."""

    file: int
    path: Path
    first_line: int
    data: bytes


class _Codes(dict[bytes, int]):
    """Gives each new name, as it is written in a line, the next code."""

    def __missing__(self, key: bytes) -> int:
        code = self[key] = len(self)
        return code


class _Rows:
    """Rows of several files, as they are taken apart."""

    def __init__(self, files: int) -> None:
        self.counts = [0] * files
        self._codes = {field: _Codes() for field in NAME_FIELDS}
        self._parts: dict[str, list[NDArray[Any]]] = {field: [] for field in _LINE_FIELDS}

    def add(self, pieces: Sequence[_Piece]) -> None:
        """Take pieces apart, at once if all lines are as this project writes them."""
        data = b"".join(piece.data for piece in pieces)
        if self._add_written(data):
            for piece in pieces:
                self.counts[piece.file] += piece.data.count(b"\n")
        elif len(pieces) > 1:
            for piece in pieces:
                self.add([piece])
        else:
            self._add_others(pieces[0])

    def table(self) -> ResultTable:
        """Return all rows."""
        names = {}
        for field in NAME_FIELDS:
            known = [json.loads(text) for text in self._codes[field]]
            # One name may be written in two ways, as \u00e9 and \u00E9.
            different = {name: place for place, name in enumerate(dict.fromkeys(known))}
            codes = _joined(self._parts.pop(field), np.int32)
            if len(different) < len(known):
                codes = np.array([different[name] for name in known], dtype=np.int32)[codes]
            names[field] = NameColumn.of(codes, different)
        seeds, values = self._parts["seed"], self._parts["value"]
        return ResultTable(names, _joined(seeds, np.int64), _joined(values, np.float64))

    def _add_written(self, data: bytes) -> bool:
        """Take lines apart; return whether all are as this project writes them, and right."""
        if not data.endswith(b"\n"):
            return False
        lines = data.split(b"\n")
        lines.pop()
        found = _LINE.findall(data)
        if len(found) != len(lines):
            return False
        columns = dict(zip(_LINE_FIELDS, zip(*found, strict=True), strict=True))
        if not _have_checksums(lines, columns["column"], columns[_CHECKSUM]):
            return False
        values = np.fromiter(map(float, columns["value"]), np.float64, len(lines))
        if not _are_results(columns, values):
            return False
        for field, codes in self._codes.items():
            part = np.fromiter(map(codes.__getitem__, columns[field]), np.int32, len(lines))
            self._parts[field].append(part)
        seeds = np.fromiter(map(int, columns["seed"]), np.int64, len(lines))
        self._parts["seed"].append(seeds)
        self._parts["value"].append(values)
        return True

    def _add_others(self, piece: _Piece) -> None:
        """Take lines apart one by one; raise :class:`HarnessError` for one that is no result."""
        results = parsed_lines(piece.path, piece.data, piece.first_line)
        self.counts[piece.file] += len(results)
        for field, codes in self._codes.items():
            texts = [json.dumps(getattr(result, field)).encode() for result in results]
            self._parts[field].append(np.array([codes[text] for text in texts], dtype=np.int32))
        seeds = np.array([result.seed for result in results], dtype=np.int64)
        self._parts["seed"].append(seeds)
        self._parts["value"].append(np.array([result.value for result in results], dtype=float))


def read_files(paths: Sequence[Path]) -> list[ReadFile]:
    """Read the results of several files, which then share one table.

    Raises:
        HarnessError: a complete line is no result, or a file cannot be read.
    """
    rows = _Rows(len(paths))
    prints = []
    waiting: list[_Piece] = []
    waiting_bytes = 0
    for number, path in enumerate(paths):
        checksum, first_line = 0, 1
        try:
            with path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                for data in _blocks(file, status.st_size):
                    checksum = zlib.crc32(data, checksum)
                    waiting.append(_Piece(number, path, first_line, data))
                    first_line += data.count(b"\n")
                    waiting_bytes += len(data)
                    if waiting_bytes >= BLOCK_BYTES:
                        rows.add(waiting)
                        waiting, waiting_bytes = [], 0
        except OSError as error:
            raise HarnessError(not_read(path, error)) from error
        prints.append(Fingerprint(status.st_size, status.st_mtime_ns, checksum))
    if waiting:
        rows.add(waiting)
    return _cut(rows, prints)


def checksum_of(path: Path) -> int:
    """Return the crc32 of a file's bytes."""
    found = 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(BLOCK_BYTES):
            found = zlib.crc32(data, found)
    return found


def _blocks(file: Any, size: int) -> Any:
    """Yield the first ``size`` bytes of a file in blocks that end with a line."""
    rest = b""
    while size > 0:
        data = file.read(min(BLOCK_BYTES, size))
        if not data:
            break
        size -= len(data)
        end = data.rfind(b"\n") + 1
        if end:
            yield rest + data[:end]
            rest = data[end:]
        else:
            rest += data
    if rest:
        yield rest


def _cut(rows: _Rows, prints: Sequence[Fingerprint]) -> list[ReadFile]:
    """Return the rows of each file."""
    table = rows.table()
    start = 0
    found = []
    for count, fingerprint in zip(rows.counts, prints, strict=True):
        results = ResultColumns(table, slice(start, start + count))
        found.append(ReadFile(results, fingerprint))
        start += count
    return found


def _have_checksums(
    lines: Sequence[bytes], columns: Sequence[bytes], checksums: Sequence[bytes]
) -> bool:
    """Return whether each line has the checksum of its other bytes."""
    crc32 = zlib.crc32
    for line, column, checksum in zip(lines, columns, checksums, strict=True):
        at = _BEFORE_COLUMN + len(column) + 2
        if crc32(line[at + _CHECKSUM_BYTES :], crc32(line[:at])) != int(checksum[1:-1], 16):
            return False
    return True


def _are_results(columns: dict[str, tuple[bytes, ...]], values: NDArray[np.float64]) -> bool:
    """Return whether names and values are ones that results may have."""
    for field in NAME_FIELDS:
        if b'""' in set(columns[field]):
            return False
    origins = {json.dumps(origin).encode() for origin in get_args(Origin)}
    if not set(columns["origin"]) <= origins:
        return False
    try:
        # What lies between is possible of any metric.
        for row in np.flatnonzero(np.isfinite(values) & ((values < 0) | (values > _USUAL))):
            metric, protocol = columns["metric"][row], columns["protocol"][row]
            check_possible(json.loads(metric), json.loads(protocol), float(values[row]))
    except ValueError:
        return False
    return True


def _joined(parts: Sequence[NDArray[Any]], kind: type[Any]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)
