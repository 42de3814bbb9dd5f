"""What an output folder holds: its runs, their state and their size."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.config.errors import HarnessError
from harness.config.user_folders import no_folder
from harness.store.legacy.names import present_id
from harness.store.result_columns import ResultColumns
from harness.store.run_folder import RunFolder, names_with
from harness.store.stored_parts import read_spec
from harness.store.stored_results import results_in

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
    state: Literal["scored", "trained", "unfinished", "empty"]
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


def remove_runs(out: Path, runs: Sequence[StoredRunInfo]) -> int:
    """Delete the folders of ``runs``, and return the bytes that became free."""
    for run in runs:
        shutil.rmtree(out / run.id)
    return sum(run.bytes for run in runs)


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


def _state(folder: RunFolder, scored: bool) -> Literal["scored", "trained", "unfinished", "empty"]:
    if scored:
        return "scored"
    if folder.weights.exists():
        return "trained"
    return "unfinished" if folder.checkpoint.exists() else "empty"
