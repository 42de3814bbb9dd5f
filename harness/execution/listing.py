"""What an output folder holds: its runs, their state and their size."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.config.errors import HarnessError
from harness.config.user_folders import no_folder
from harness.execution.locks import hold_stored
from harness.store.legacy.names import present_id
from harness.store.result_columns import ResultColumns
from harness.store.run_folder import RunFolder, names_with
from harness.store.stored_parts import read_spec
from harness.store.stored_results import results_in

State = Literal["scored", "trained", "unfinished", "empty"]
"""How far a stored run is."""

_DAY_S = 86_400


@dataclass(frozen=True)
class StoredRunInfo:
    """One run folder as a listing shows it.

    Attributes:
        id: name of the folder.
        method: of the run.
        settings: that it was scored on.
        seed: of its training.
        state: ``scored``, ``trained``, ``unfinished``, or ``empty``.
        bytes: size of all its files, kept images included.
        changed_s: time of the last change, in seconds since the epoch.
    """

    id: str
    method: str
    settings: tuple[str, ...]
    seed: int | None
    state: State
    bytes: int
    changed_s: float

    @property
    def age_days(self) -> float:
        """Days since the last change."""
        return (time.time() - self.changed_s) / _DAY_S


def stored_runs(out: Path) -> list[StoredRunInfo]:
    """Return the runs of an output folder, by name.

    Raises:
        HarnessError: the folder does not exist, or is a file.
    """
    if not out.is_dir():
        raise HarnessError(f"{out} {no_folder(out)}; name an output folder with --out")
    folders = [RunFolder(out / name) for name in names_with(out, "spec.json")]
    results = results_in(folder.results for folder in folders)
    return list(map(_info, folders, results))


def remove_runs(out: Path, runs: Sequence[StoredRunInfo]) -> list[StoredRunInfo]:
    """Delete the folders of ``runs`` that no process computes, and return those runs.

    A run that another process has claimed stays, and so does one that was computed since it was
    listed.

    Raises:
        HarnessError: a folder cannot be written, or is a link.
    """
    removed: list[StoredRunInfo] = []
    for run in runs:
        folder = RunFolder(out / run.id)
        if folder.path.is_symlink():
            raise HarnessError(f"{folder.path} is a link; remove it and what it leads to by hand")
        with hold_stored(folder) as held:
            if held and _stored_state(folder) == run.state:
                _empty(folder)
                removed.append(run)
        # The claim was its last file; a folder that is not empty stays.
        with contextlib.suppress(OSError):
            folder.path.rmdir()
    return removed


def _empty(folder: RunFolder) -> None:
    """Delete what a folder holds but its claim; the spec goes last, which makes it a listed run."""
    entries = set(folder.path.iterdir()) - {folder.claim, folder.spec}
    for entry in sorted(entries):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    folder.spec.unlink(missing_ok=True)


def _stored_state(folder: RunFolder) -> State:
    return _state(folder, bool(results_in([folder.results])[0]))


def _info(folder: RunFolder, results: ResultColumns) -> StoredRunInfo:
    spec = read_spec(folder.spec)
    size, changed_s = _size_and_change(str(folder.path))
    return StoredRunInfo(
        id=folder.path.name,
        method=present_id(str(spec.get("method", "?")), spec),
        settings=tuple(results.distinct("setting")),
        seed=spec.get("seed"),
        state=_state(folder, bool(results)),
        bytes=size,
        changed_s=changed_s,
    )


def _size_and_change(folder: str) -> tuple[int, float]:
    """Return the size of all files below ``folder``, and when the last of them changed."""
    size, changed_s = 0, 0.0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below, changed_below_s = _size_and_change(entry.path)
                size, changed_s = size + below, max(changed_s, changed_below_s)
            elif entry.is_file():
                status = entry.stat()
                size, changed_s = size + status.st_size, max(changed_s, status.st_mtime)
    return size, changed_s


def _state(folder: RunFolder, scored: bool) -> State:
    if scored:
        return "scored"
    if folder.weights.exists():
        return "trained"
    return "unfinished" if folder.checkpoint.exists() else "empty"
