"""Decoded images on disk, mapped into memory: a PNG is decoded once, not once per sample.

A training crop covers a twentieth of an image and is used once. Decoding the whole file for it
costs a hundred times the crop. Here the first use decodes; later ones, in any process, map the
pixels and copy what the crop covers.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data.images.arrays import Image8
from harness.data.images.read import read_image

FOLDER_VARIABLE = "HARNESS_IMAGE_CACHE"
_SPARE_BYTES = 2 * 2**30
_MAPPED_AT_ONCE = 4096  # mappings, not files: Linux allows a process 65,530


def default_folder() -> Path:
    """Return the folder that HARNESS_IMAGE_CACHE names, else one in the user's cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "restoration-harness" / "images"


@dataclass(frozen=True)
class DecodedImages:
    """Reads images through ``folder``; a file that changed is decoded anew.

    Where the folder cannot be written, or its disk has less than two gigabytes to spare, images
    are decoded at each use, which is slower and gives the same pixels.
    """

    folder: Path

    def read(self, path: Path) -> Image8:
        """Return the image at ``path``, read-only (H, W, 3) uint8 RGB.

        Raises:
            HarnessError: the file is missing or no image; the message names it.
        """
        try:
            state = path.stat()
        except OSError:
            return read_image(path)  # its error names what is wrong
        return mapped_image(self.folder, path.absolute(), state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=_MAPPED_AT_ONCE)
def mapped_image(folder: Path, path: Path, size: int, modified_ns: int) -> Image8:
    """Return an image through ``folder``; size and time of change are part of its identity."""
    identity = f"{path}\n{size}\n{modified_ns}"
    stored = folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.npy"
    try:
        return _map(stored)
    except (OSError, ValueError, EOFError):  # not there yet, or cut off
        pass
    image = read_image(path)
    image.flags.writeable = False
    try:
        _store(image, stored)
        return _map(stored)
    except OSError:
        return image


def _map(stored: Path) -> Image8:
    image: Image8 = np.load(stored, mmap_mode="r", allow_pickle=False).view(np.ndarray)
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
