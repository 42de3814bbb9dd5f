"""The one way in which stored results are read.

The rows of a few runs are read as they stand. Of many rows, compact files are read instead, as far
as they are current, and what is not in them yet is added. What a process has read of a file that
did not change since is not read again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError
from harness.config.hashing import spec_hash
from harness.config.run_specs import ScoreSpec, TestSet
from harness.store.compact import (
    CompactFile,
    CompactRun,
    can_compact,
    compact_files,
    write_or_explain,
)
from harness.store.files import not_read, require_regular
from harness.store.result_columns import ResultColumns
from harness.store.result_lines import ReadFile, read_files
from harness.store.run_folder import names_with

DIRECT_BYTES = 16 * 2**20
"""Rows of fewer bytes are read as they stand: opening compact files would take as long."""

_COMPACT_BYTES = 256 * 2**20
"""Rows that one compact file is made of, at most."""

_KEPT_BYTES = 512 * 2**20
"""Of rows that a process remembers."""

_SETTLED_NS = 100_000_000
"""A file that changed more recently may change again without a sign of it."""

_log = logging.getLogger("harness")


@dataclass(frozen=True)
class _Kept:
    """What was read of a file, and the device, number, size and time of change that it had."""

    identity: tuple[int, ...]
    results: ResultColumns


_kept: dict[Path, _Kept] = {}


def results_of(path: Path, score: ScoreSpec | None) -> ResultColumns:
    """Return the results of one score that ``path`` holds; none where there is no file.

    Raises:
        HarnessError: a complete line is no result; the message names file and line.
    """
    if score is None:
        return ResultColumns.of(())
    return with_present_id(results_in([path])[0].of_score(spec_hash(score)), score.test)


def with_present_id(results: ResultColumns, test: TestSet) -> ResultColumns:
    """Return the results of one test set with the id that its preprocessing has now.

    Until version 0.2 centres on disk and of photographs were stored with the id of whole images.
    """
    identifier = test.preprocessing_id
    if not results or results.distinct("preprocessing") == [identifier]:
        return results
    return results.with_name("preprocessing", identifier)


def with_last_ids(results: ResultColumns) -> ResultColumns:
    """Return the results of a run with one id of the preprocessing per score: that of its last.

    :func:`with_present_id` is for scores whose images are known; a file does not say them.
    """
    if len(results.distinct("preprocessing")) <= 1:
        return results
    parts = []
    for same in results.by("score").values():
        parts.append(same.with_name("preprocessing", same[-1].preprocessing))
    return ResultColumns.joined(parts)


def read_ahead(paths: Iterable[Path]) -> None:
    """Read many files at once, each of which is asked for by itself afterwards.

    A file that cannot be read is left to whoever asks for it.
    """
    with contextlib.suppress(HarnessError):
        results_in(paths)


def results_in(paths: Iterable[Path]) -> list[ResultColumns]:
    """Return the results of files of rows, one by one; none where there is no file.

    Raises:
        HarnessError: a complete line is no result; the message names file and line.
    """
    found: dict[Path, ResultColumns] = {}
    asked = list(paths)
    unread: dict[Path, os.stat_result] = {}
    for path in asked:
        try:
            status = os.stat(path)  # noqa: PTH116  # of ten thousand, Path's own takes twice as long
        except (FileNotFoundError, NotADirectoryError):  # also below a file
            found[path] = ResultColumns.of(())
            continue
        except OSError as error:
            raise HarnessError(not_read(path, error)) from error
        require_regular(path, status.st_mode)
        kept = _kept.get(path)
        if kept is not None and kept.identity == _identity(status):
            found[path] = kept.results
        else:
            unread[path] = status
    found |= _read(unread)
    _keep(found, unread)
    return [found[path] for path in asked]


def run_files(out: Path) -> list[Path]:
    """Return the files of rows of all runs in an output folder, by the names of the runs."""
    names = names_with(out, "results.jsonl")
    return [Path(f"{out}{os.sep}{name}{os.sep}results.jsonl") for name in names]


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _keep(found: dict[Path, ResultColumns], read: dict[Path, os.stat_result]) -> None:
    """Remember what was read, and forget what was read first where that is too much."""
    settled_ns = time.time_ns() - _SETTLED_NS
    for path, status in read.items():
        if status.st_mtime_ns < settled_ns:
            _kept.pop(path, None)
            _kept[path] = _Kept(_identity(status), found[path])
    total = sum(kept.results.nbytes for kept in _kept.values())
    while total > _KEPT_BYTES:
        total -= _kept.pop(next(iter(_kept))).results.nbytes


def _read(files: dict[Path, os.stat_result]) -> dict[Path, ResultColumns]:
    """Read files of rows from compact files or as they stand."""
    if sum(status.st_size for status in files.values()) < DIRECT_BYTES or not can_compact():
        return _results(_read_rows(list(files)))
    by_folder: dict[str, dict[Path, os.stat_result]] = {}
    for path, status in files.items():
        by_folder.setdefault(_folder_and_run(path)[0], {})[path] = status
    found: dict[Path, ResultColumns] = {}
    for folder, members in by_folder.items():
        out = Path(folder)
        found |= _read_compact(out, members)
        rest = [path for path in members if path not in found]
        found |= _read_and_compact(out, rest, files)
    return found


def _folder_and_run(path: Path) -> tuple[str, str]:
    """Return the output folder of a file of rows, and the name of its run."""
    folder, run = os.path.split(os.path.dirname(path))  # noqa: PTH120  # ten thousand Paths cost more
    return folder, run


def _read_compact(out: Path, files: dict[Path, os.stat_result]) -> dict[Path, ResultColumns]:
    """Return what compact files hold of ``files``, as far as it is current."""
    by_name = {_folder_and_run(path)[1]: path for path in files}
    chosen: dict[str, tuple[CompactFile, CompactRun]] = {}
    for compact in compact_files(out):
        for name in compact.runs.keys() & by_name.keys():
            path = by_name[name]
            if compact.runs[name].is_current(path, files[path], compact.made_ns):
                chosen[name] = compact, compact.runs[name]
    by_file: dict[Path, list[str]] = {}
    for name, (compact, _) in chosen.items():
        by_file.setdefault(compact.path, []).append(name)
    found = {}
    for names in by_file.values():
        compact = chosen[names[0]][0]
        runs = compact.read([chosen[name][1] for name in names])
        for name, results in zip(names, runs, strict=True):
            found[by_name[name]] = results
    return found


def _read_and_compact(
    out: Path, paths: Sequence[Path], status: dict[Path, os.stat_result]
) -> dict[Path, ResultColumns]:
    """Read rows as they stand, and add them to the compact files where they are many."""
    found: dict[Path, ResultColumns] = {}
    for part in _parts(paths, status):
        began_ns = time.time_ns()
        read = _read_rows(part)
        found |= _results(read)
        if sum(file.fingerprint.size for file in read.values()) < DIRECT_BYTES:
            continue
        by_name = {path.parent.name: file for path, file in read.items()}
        note = write_or_explain(out, by_name, began_ns)
        if note:
            _log.warning(note)
    return found


def _parts(paths: Sequence[Path], status: dict[Path, os.stat_result]) -> list[list[Path]]:
    """Return the files in parts that compact files are made of."""
    parts: list[list[Path]] = [[]]
    size = 0
    for path in paths:
        if size > _COMPACT_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(path)
        size += status[path].st_size
    return parts


def _read_rows(paths: Sequence[Path]) -> dict[Path, ReadFile]:
    return dict(zip(paths, read_files(paths), strict=True))


def _results(read: dict[Path, ReadFile]) -> dict[Path, ResultColumns]:
    return {path: file.results for path, file in read.items()}
