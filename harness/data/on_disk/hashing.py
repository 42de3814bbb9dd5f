"""Hashes of files' bytes, computed once: a training set has tens of gigabytes.

What was hashed is kept by path, size and time of change beside the decoded images; a file that
changed is hashed anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from harness.config.errors import HarnessError
from harness.data.images.cache import default_folder
from harness.data.on_disk.layouts import PairFiles
from harness.data.parallel_map import OnProgress, map_files, no_progress


def content_sha256(pairs: Sequence[PairFiles], on_progress: OnProgress = no_progress) -> str:
    """Hash the bytes of all files of a set, in their order, wherever they lie.

    Raises:
        HarnessError: a file cannot be read; the message names it.
    """
    paths = [p for pair in pairs for p in (pair.degraded, pair.clean) if p is not None]
    known = _read()
    states = {path: _state(path) for path in dict.fromkeys(paths)}
    missing = [path for path, state in states.items() if state not in known]
    if missing:
        hashed = map_files(_hash, missing, on_progress)
        fresh = {states[path]: digest for path, digest in zip(missing, hashed, strict=True)}
        known |= fresh
        _keep(fresh)
    digest = hashlib.sha256()
    for path in paths:
        digest.update(bytes.fromhex(known[states[path]]))
    return digest.hexdigest()


def _state(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        raise HarnessError(f"{path} cannot be read: {error.strerror or error}") from error
    return f"{path.absolute()}\n{found.st_size}\n{found.st_mtime_ns}"


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HarnessError(f"{path} cannot be read: {error.strerror or error}") from error


def _file() -> Path:
    return default_folder().parent / "digests.jsonl"


def _read() -> dict[str, str]:
    """Return what is kept; a line that another process has not finished yet is left out."""
    known = {}
    try:
        lines = _file().read_text(encoding="utf-8").split("\n")
    except OSError:
        return {}
    for line in lines:
        try:
            state, digest = json.loads(line)
        except (ValueError, TypeError):
            continue
        known[state] = digest
    return known


def _keep(fresh: dict[str, str]) -> None:
    """Append what was hashed; where that cannot be written, it is hashed again next time."""
    text = "".join(json.dumps(entry) + "\n" for entry in fresh.items())
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        with _file().open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        pass
