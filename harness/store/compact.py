"""Compact files: copies of the results of finished runs by column, as Parquet.

``compact/`` in an output folder holds a few such files, each of many runs. They are copies alone:
rows are stored in the folder of their run, and whatever is missing, stale or damaged here is read
there and copied anew. A copy of a run is current if the file of its rows has the size and the time
of change that it had when it was read, or else its size and checksum. The name of a compact file
holds the checksum of its bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError
from harness.store.files import write_atomically
from harness.store.result_columns import NAME_FIELDS, NameColumn, ResultColumns, ResultTable
from harness.store.result_lines import Fingerprint, ReadFile, checksum_of

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "compact"

_VERSION = 1
_KEY = b"restoration_harness"
"""Key of what a file says of its runs, in the metadata of its schema."""

_GROUP_ROWS = 2**17
"""Rows that are read at once, or not at all."""

_CLOCK_NS = 2_000_000_000
"""File systems keep times of change as coarse as this; a change within it may not be seen."""


@dataclass(frozen=True)
class CompactRun:
    """A run in a compact file.

    Attributes:
        start: its first row.
        stop: the row behind its last.
        fingerprint: of the file that the rows were read from.
    """

    start: int
    stop: int
    fingerprint: Fingerprint

    def is_current(self, path: Path, status: os.stat_result, made_ns: int) -> bool:
        """Return whether ``path``, with its ``status``, holds what was read before ``made_ns``."""
        known = self.fingerprint
        if status.st_size != known.size:
            return False
        if status.st_mtime_ns == known.mtime_ns and known.mtime_ns < made_ns - _CLOCK_NS:
            return True
        try:
            return checksum_of(path) == known.crc32
        except OSError:
            return False


@dataclass(frozen=True)
class CompactFile:
    """A compact file, whole.

    Attributes:
        path: the file.
        made_ns: when its rows were read, in nanoseconds since the epoch.
        runs: by the name of the run's folder.
        content: its bytes, mapped.
    """

    path: Path
    made_ns: int
    runs: Mapping[str, CompactRun]
    content: Any

    def read(self, runs: Sequence[CompactRun]) -> list[ResultColumns]:
        """Return the results of some of the runs, which then share one table."""
        from pyarrow import parquet

        file = parquet.ParquetFile(self.content)
        groups: set[int] = set()
        for run in runs:
            groups |= set(range(run.start // _GROUP_ROWS, -(-run.stop // _GROUP_ROWS)))
        chosen = sorted(groups)
        table = _table_of(file, chosen)
        places = {group: place for place, group in enumerate(chosen)}
        found = []
        for run in runs:
            first = run.start // _GROUP_ROWS
            moved = (places.get(first, first) - first) * _GROUP_ROWS
            found.append(ResultColumns(table, slice(run.start + moved, run.stop + moved)))
        return found


def can_compact() -> bool:
    """Return whether the package that reads and writes compact files is installed."""
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


def compact_files(out: Path) -> list[CompactFile]:
    """Return the compact files of an output folder, the oldest first; damaged ones are left out."""
    found = []
    for path in (out / FOLDER).glob("*.parquet"):
        opened = _opened(path)
        if opened is not None:
            found.append(opened)
    return sorted(found, key=lambda file: (file.made_ns, file.path.name))


def write_compact(out: Path, files: Mapping[str, ReadFile], made_ns: int) -> Path:
    """Write one compact file, and remove those of which nothing is left that it does not hold.

    Args:
        out: the output folder.
        files: what was read, by the name of the run's folder.
        made_ns: when reading began, in nanoseconds since the epoch.

    Raises:
        HarnessError: it cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    results = ResultColumns.joined(file.results for file in files.values())
    arrays = {field: _array(results.column(field)) for field in NAME_FIELDS}
    arrays["seed"], arrays["value"] = pa.array(results.seeds), pa.array(results.values)
    about = json.dumps({"version": _VERSION, "made_ns": made_ns, "runs": _runs_text(files)})
    table = pa.table(arrays).replace_schema_metadata({_KEY: about.encode()})
    sink = pa.BufferOutputStream()
    parquet.write_table(
        table,
        sink,
        row_group_size=_GROUP_ROWS,
        compression="zstd",
        use_dictionary=list(NAME_FIELDS),
        dictionary_pagesize_limit=2**26,
        write_statistics=False,
    )
    content = memoryview(sink.getvalue())
    path = out / FOLDER / f"{zlib.crc32(content):08x}.parquet"
    write_atomically(path, lambda file: file.write(content))
    _remove_replaced(out)
    return path


def _opened(path: Path) -> CompactFile | None:
    """Return a compact file, None if it is damaged, of another version or gone."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with pa.memory_map(str(path)) as mapped:
            content = mapped.read_buffer()
        if f"{zlib.crc32(memoryview(content)):08x}" != path.stem:
            return None
        about = json.loads(parquet.read_schema(content).metadata[_KEY])
        if about["version"] != _VERSION:
            return None
        runs = {}
        start = 0
        for name, rows, *fingerprint in about["runs"]:
            runs[name] = CompactRun(start, start + rows, Fingerprint(*fingerprint))
            start += rows
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
    return CompactFile(path, about["made_ns"], runs, content)


def _remove_replaced(out: Path) -> None:
    """Remove compact files that are damaged, and those whose runs newer ones hold."""
    kept: set[str] = set()
    keep: set[Path] = set()
    for file in reversed(compact_files(out)):
        if not file.runs.keys() <= kept:
            keep.add(file.path)
        kept |= file.runs.keys()
    for path in (out / FOLDER).glob("*.parquet"):
        if path not in keep:
            with contextlib.suppress(OSError):  # another user's, or open elsewhere
                path.unlink()


def _runs_text(files: Mapping[str, ReadFile]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for name, file in files.items():
        found.append((name, len(file.results), *asdict(file.fingerprint).values()))
    return found


def _array(column: NameColumn) -> pa.DictionaryArray:
    import pyarrow as pa

    used, codes = np.unique(column.codes, return_inverse=True)
    names = pa.array([column.names[code] for code in used.tolist()], type=pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), names)


class _StoredNames(Mapping[str, NameColumn]):
    """The text of row groups of a Parquet file; each column is read when it is first asked for."""

    def __init__(self, file: Any, groups: Sequence[int]) -> None:
        self._file = file
        self._groups = groups
        self._read: dict[str, NameColumn] = {}

    def __getitem__(self, field: str) -> NameColumn:
        if field not in NAME_FIELDS:
            raise KeyError(field)
        if field not in self._read:
            column = _read_column(self._file, self._groups, field).unify_dictionaries()
            codes = _numbers([chunk.indices for chunk in column.chunks], np.int32)
            known = column.chunk(0).dictionary.to_pylist() if column.num_chunks else []
            self._read[field] = NameColumn.of(codes, known)
        return self._read[field]

    def __iter__(self) -> Iterator[str]:
        return iter(NAME_FIELDS)

    def __len__(self) -> int:
        return len(NAME_FIELDS)


def _table_of(file: Any, groups: Sequence[int]) -> ResultTable:
    """Return row groups of a Parquet file; column by column, for only one is held twice."""
    seeds = _numbers(_read_column(file, groups, "seed").chunks, np.int64)
    values = _numbers(_read_column(file, groups, "value").chunks, np.float64)
    return ResultTable(_StoredNames(file, groups), seeds, values)


def _read_column(file: Any, groups: Sequence[int], field: str) -> Any:
    return file.read_row_groups(list(groups), columns=[field], use_threads=False).column(0)


def _numbers(chunks: Sequence[Any], kind: type[Any]) -> NDArray[Any]:
    """Return Arrow's arrays of numbers as one; its own way imports pandas, which takes longer."""
    parts = [np.empty(0, dtype=kind)]
    for chunk in chunks:
        if len(chunk):
            numbers = np.frombuffer(chunk.buffers()[1], kind, len(chunk) + chunk.offset)
            parts.append(numbers[chunk.offset :])
    return np.concatenate(parts)


def write_or_explain(out: Path, files: Mapping[str, ReadFile], made_ns: int) -> str:
    """Write a compact file; return a sentence where it cannot be written, else nothing."""
    try:
        write_compact(out, files, made_ns)
    except (HarnessError, UnicodeEncodeError) as error:
        return f"{out / FOLDER} is not written, so the next command reads all rows again: {error}"
    return ""
