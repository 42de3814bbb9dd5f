"""Decoded images on disk, mapped into memory: a PNG is decoded once, not once per sample.

A training crop covers a twentieth of an image and is used once. Decoding the whole file for it
costs a hundred times the crop. Here the first use decodes; later ones, in any process, map the
pixels and copy what the crop covers.

A file is known by its path, size, time of change and time of change of its entry (``ctime``, which
no program sets at will). Where a file system keeps no such time, a file that was exchanged for
another of the same size and time is not noticed: remove the cache then.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.config.user_folders import cache_folder
from harness.data.images.arrays import Image8
from harness.data.images.read import read_image

FOLDER_VARIABLE = "HARNESS_IMAGE_CACHE"
_DECODED = re.compile(r"[0-9a-f]{32}\.npy|tmp\w+\.part")
_SPARE_BYTES = 2 * 2**30
_MAPPED_AT_ONCE = 4096  # mappings, not files: Linux allows a process 65,530


def default_folder() -> Path | None:
    """Return the folder that HARNESS_IMAGE_CACHE names, else one in the user's cache.

    None where neither is known: then nothing is stored.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    folder = cache_folder()
    return None if folder is None else folder / "images"


def decoded_files(folder: Path) -> list[Path]:
    """Return the files of decoded images in a folder, which may hold other files besides."""
    with contextlib.suppress(OSError):
        return [path for path in sorted(folder.iterdir()) if _DECODED.fullmatch(path.name)]
    return []


def remove_decoded(folder: Path) -> None:
    """Remove decoded images, and their folder if nothing else is in it."""
    for path in decoded_files(folder):
        with contextlib.suppress(OSError):
            path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


@dataclass(frozen=True)
class FileState:
    """What a file is known by without reading it."""

    path: Path
    size: int
    modified_ns: int
    entry_changed_ns: int

    @property
    def text(self) -> str:
        """The state as one text; a path that is not UTF-8 is no hindrance."""
        return f"{self.path}\n{self.size}\n{self.modified_ns}\n{self.entry_changed_ns}"


def file_state(path: Path) -> FileState:
    """Return the state of a file; raise :class:`OSError` if it cannot be asked for."""
    found = path.stat()
    return FileState(path.absolute(), found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True)
class DecodedImages:
    """Reads images through ``folder``; a file that changed is decoded anew.

    Where there is no folder, where it cannot be written, or where its disk has less than two
    gigabytes to spare, images are decoded at each use, which is slower and gives the same pixels.
    """

    folder: Path | None

    def read(self, path: Path) -> Image8:
        """Return the image at ``path``, read-only (H, W, 3) uint8 RGB.

        Raises:
            HarnessError: the file is missing or no image; the message names it.
        """
        try:
            state = file_state(path)
        except OSError:
            return read_image(path)  # its error names what is wrong
        if self.folder is None:
            return _read_only(path)
        try:
            return mapped_image(self.folder, state)
        except _NotStoredError as error:
            return error.image


class _NotStoredError(Exception):
    """An image that could not be stored; raised, so that the memory of results leaves it out."""

    def __init__(self, image: Image8) -> None:
        super().__init__("not stored")
        self.image = image


@functools.lru_cache(maxsize=_MAPPED_AT_ONCE)
def mapped_image(folder: Path, state: FileState) -> Image8:
    """Return an image through ``folder``."""
    identity = state.text.encode("utf-8", "surrogateescape")
    stored = folder / f"{hashlib.sha256(identity).hexdigest()[:32]}.npy"
    try:
        return _map(stored)
    except (OSError, ValueError, EOFError):  # not there yet, or cut off
        pass
    image = _read_only(state.path)
    try:
        _store(image, stored)
        return _map(stored)
    except OSError:
        raise _NotStoredError(image) from None


def _read_only(path: Path) -> Image8:
    image = read_image(path)
    image.flags.writeable = False
    return image


def _map(stored: Path) -> Image8:
    image: Image8 = np.load(stored, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{stored} holds no decoded image")
    return image


def _store(image: Image8, stored: Path) -> None:
    """Write next to the target and move it there, so that no process reads half a file."""
    stored.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(stored.parent).free < image.nbytes + _SPARE_BYTES:
        raise OSError("too little space to spare")
    with tempfile.NamedTemporaryFile(dir=stored.parent, suffix=".part", delete=False) as file:
        part = Path(file.name)
    try:
        with part.open("wb") as target:
            np.save(target, image, allow_pickle=False)
        part.replace(stored)
    finally:
        part.unlink(missing_ok=True)
