"""Files of ``torch.save``, which are zip files, with checksums that are looked at.

torch writes a checksum for each part of a file and does not compare it on reading, and a damaged
length or name is in no part. Files of this project end with the hash of all that stands before it;
readers of zip files, torch among them, pass over what follows the end of the zip file.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from harness.config.errors import HarnessError
from harness.store.files import write_atomically

_PREFIX = b"\nsha256 "
_TRAILER_BYTES = len(_PREFIX) + 64
_END_OF_ZIP, _END_BYTES = b"PK\x05\x06", 22
"""The last record of a zip file without comment: its first bytes and its length."""

_CHUNK_BYTES = 2**20
_MOST_PACKED_BYTES = 2**24


class _HashedFile:
    """Writes to a file and hashes what it writes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def write_checked(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a file from beginning to end, atomically, and add its hash.

    Raises:
        HarnessError: the file cannot be written.
    """

    def write_all(file: BinaryIO) -> None:
        hashed = _HashedFile(file)
        write(hashed)  # type: ignore[arg-type]
        file.write(_PREFIX + hashed.sha256.hexdigest().encode())

    write_atomically(path, write_all)


def check_zip(path: Path, advice: str, own: bool = False) -> None:
    """Check the hash at the end of a file, or, where torch alone wrote it, those of its parts.

    Files of the format before PyTorch 1.6 are no zip files and have none.

    Args:
        path: the file.
        advice: what to do about a damaged one; ends the message.
        own: whether nothing else than a hash may follow the end of the zip file.

    Raises:
        HarnessError: the file is damaged.
    """
    try:
        problem = _problem(path, own)
    except Exception as error:  # damage shows in many ways
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise HarnessError(f"{path} cannot be read ({problem}); {advice}")


def _problem(path: Path, own: bool) -> str:
    """Return what is wrong with a file; empty if nothing is, or if it has no checksum."""
    if not zipfile.is_zipfile(path):
        return ""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TRAILER_BYTES))
        end = file.read()
        is_hashed = end.startswith(_PREFIX)
        if own and not end[-_END_BYTES:].startswith(_END_OF_ZIP):
            is_hashed = True
        if is_hashed:
            return "" if _has_right_hash(file, size) else "its checksum differs"
    with zipfile.ZipFile(path) as parts:
        if _stands_for_more(parts.infolist(), size):
            return "its parts become far more bytes than it has, as torch.save leaves none"
        damaged = parts.testzip()
    return "" if damaged is None else f"the checksum of its part {damaged} differs"


def _stands_for_more(parts: Sequence[zipfile.ZipInfo], size: int) -> bool:
    """Return whether the parts of a file become far more bytes than it has.

    torch packs no numbers; the code of TorchScript, which is refused for itself, is packed.
    """
    return sum(part.file_size for part in parts) > 2 * size + _MOST_PACKED_BYTES


def _has_right_hash(file: BinaryIO, size: int) -> bool:
    """Return whether a file of ``size`` bytes ends with the hash of all that stands before it."""
    left = size - _TRAILER_BYTES
    if left < 0:
        return False
    whole = hashlib.sha256()
    file.seek(0)
    while left > 0:
        chunk = file.read(min(_CHUNK_BYTES, left))
        whole.update(chunk)
        left -= len(chunk)
    return file.read() == _PREFIX + whole.hexdigest().encode()
