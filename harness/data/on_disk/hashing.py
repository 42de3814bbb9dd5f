"""Hashes of files' bytes, computed once: a training set has tens of gigabytes.

The hash of a file is stored next to the decoded images, by what the file is known by without
reading it (:class:`harness.data.images.cache.FileState`); a file that changed is hashed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.config.errors import HarnessError
from harness.config.hashing import file_sha256
from harness.data.images.cache import (
    default_folder,
    file_state,
    mapped_image,
    remove_decoded,
)
from harness.data.on_disk.found_set import PairFiles
from harness.data.parallel_map import OnProgress, map_files, no_progress

_DIGEST_BYTES = 32


def look_again() -> None:
    """Forget stored hashes and decoded images, so that the bytes of every file are read again."""
    folder = default_folder()
    file = _file()
    mapped_image.cache_clear()
    if folder is not None:
        remove_decoded(folder)
    if file is not None:
        with contextlib.suppress(OSError):
            file.unlink()


def content_sha256(pairs: Sequence[PairFiles], on_progress: OnProgress = no_progress) -> str:
    """Hash the bytes of all files of a set, in their order, wherever they are.

    Raises:
        HarnessError: a file cannot be read; the message names it.
    """
    paths: list[Path] = []
    for pair in pairs:
        paths += pair.paths
    state_of = {path: _state(path) for path in dict.fromkeys(paths)}
    hash_of = _hashes(state_of, on_progress)
    whole = hashlib.sha256()
    for path in paths:
        whole.update(bytes.fromhex(hash_of[state_of[path]]))
    return whole.hexdigest()


def _hashes(state_of: Mapping[Path, str], on_progress: OnProgress) -> dict[str, str]:
    """Return hashes by state, computing and storing those that are missing."""
    known = _stored()
    missing = [path for path, state in state_of.items() if state not in known]
    if not missing:
        return known
    fresh = {}
    for path, digest in zip(missing, map_files(file_sha256, missing, on_progress), strict=True):
        fresh[state_of[path]] = digest
    _store(fresh)
    return {**known, **fresh}


def _state(path: Path) -> str:
    try:
        return file_state(path).text
    except OSError as error:
        reason = error.strerror or error
        raise HarnessError(
            f"{path} cannot be read: {reason}; check the path and its permissions"
        ) from error


def _file() -> Path | None:
    folder = default_folder()
    return None if folder is None else folder.parent / "digests.jsonl"


def _stored() -> dict[str, str]:
    """Return the stored hashes; a line that another process has not finished is left out."""
    known: dict[str, str] = {}
    file = _file()
    if file is None:
        return known
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return known
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            state, digest = json.loads(line)
            if len(bytes.fromhex(digest)) == _DIGEST_BYTES:
                known[state] = digest
    return known


def _store(fresh: Mapping[str, str]) -> None:
    """Append hashes; where that cannot be written, they are computed again next time."""
    file = _file()
    if file is None:
        return
    lines = [json.dumps(entry) + "\n" for entry in fresh.items()]
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as target:
            target.write("".join(lines))
