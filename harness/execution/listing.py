"""What an output folder holds: its runs, their state and their size."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.config.errors import HarnessError
from harness.store.files import read_json_object
from harness.store.legacy.names import present_id
from harness.store.results import read
from harness.store.run_folder import RunFolder

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
        HarnessError: the folder does not exist.
    """
    if not out.is_dir():
        raise HarnessError(f"{out} does not exist; name an output folder with --out")
    found = []
    for path in sorted(out.iterdir()):
        if (path / "spec.json").is_file():
            found.append(_info(RunFolder(path)))
    return found


def remove_runs(out: Path, runs: Sequence[StoredRunInfo]) -> int:
    """Delete the folders of ``runs``, and return the bytes that became free."""
    for run in runs:
        shutil.rmtree(out / run.id)
    return sum(run.bytes for run in runs)


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below ``folder``; 0 if there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _info(folder: RunFolder) -> StoredRunInfo:
    spec = read_json_object(folder.spec)
    results = read([folder.results]) if folder.results.exists() else []
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    return StoredRunInfo(
        id=folder.path.name,
        method=present_id(str(spec.get("method", "?")), spec),
        settings=tuple(dict.fromkeys(result.setting for result in results)),
        seed=spec.get("seed"),
        state=_state(folder, bool(results)),
        bytes=sum(path.stat().st_size for path in files),
        changed_s=max(path.stat().st_mtime for path in files),
    )


def _state(folder: RunFolder, scored: bool) -> Literal["scored", "trained", "unfinished", "empty"]:
    if scored:
        return "scored"
    if folder.weights.exists():
        return "trained"
    return "unfinished" if folder.checkpoint.exists() else "empty"
