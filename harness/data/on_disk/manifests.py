"""Manifests: the SHA-256 of every file of a data set, in the format of ``sha256sum``.

``sha256sum -c`` in the set's folder verifies them as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError
from harness.config.hashing import file_sha256
from harness.data.on_disk.found_set import FoundSet
from harness.data.on_disk.names import NOT_UTF8, is_utf8, readable
from harness.data.parallel_map import OnProgress, map_files, no_progress

_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True)
class Differences:
    """How a set differs from its manifest: names relative to the set's folder, sorted."""

    changed: tuple[str, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.missing or self.added)


def manifest_path(folder: Path, name: str) -> Path:
    """Return the manifest of the data set ``name`` in ``folder``."""
    return folder / f"{name}.sha256"


def hashes(found: FoundSet, on_progress: OnProgress = no_progress) -> dict[str, str]:
    """Return SHA-256 by name of every image file of ``found``, several at a time.

    Raises:
        HarnessError: a file cannot be read, or a name has a line break or backslash.
    """
    names = [path.relative_to(found.folder).as_posix() for path in found.files]
    for name in names:
        if any(sign in name for sign in "\n\r\\"):
            raise HarnessError(f"{found.folder}: {name!r} cannot be part of a manifest; rename it")
        if not is_utf8(name):
            raise HarnessError(f"{readable(found.folder / name)}: {NOT_UTF8}")
    digests = map_files(file_sha256, found.files, on_progress)
    return dict(zip(names, digests, strict=True))


def manifest_text(digests: Mapping[str, str]) -> str:
    """Return the manifest of SHA-256 values by name, one line each, in their order."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items())


def read_manifest(path: Path) -> dict[str, str]:
    """Return SHA-256 by name; raise :class:`HarnessError` for a missing or damaged manifest."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise HarnessError(
            f"{path} does not exist; write it with python -m harness data manifest write"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path} cannot be read ({error}); write it again") from error
    content = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise HarnessError(
                f"{path}, line {number} is no 'SHA-256  name'; fetch or write the manifest again"
            )
        content[match[2]] = match[1]
    return content


def compare(found: FoundSet, path: Path, on_progress: OnProgress = no_progress) -> Differences:
    """Return how ``found`` differs from the manifest at ``path``."""
    stated, present = read_manifest(path), hashes(found, on_progress)
    both = sorted(stated.keys() & present.keys())
    changed = [name for name in both if stated[name] != present[name]]
    missing = sorted(stated.keys() - present.keys())
    added = sorted(present.keys() - stated.keys())
    return Differences(tuple(changed), tuple(missing), tuple(added))
