"""The embedded photographs: where installed packages have them, and reading them."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

from harness.config.errors import HarnessError
from harness.config.files import photograph_catalogue
from harness.config.hashing import file_sha256
from harness.config.photographs import CatalogueEntry, catalogue_entry
from harness.config.run_specs import Photograph
from harness.data.images.arrays import Image8
from harness.data.images.read import image_size, read_image


def locate(entry: CatalogueEntry) -> Path:
    """Return the file of a photograph without importing the package that holds it.

    Raises:
        HarnessError: package or file is missing; says how to install it.
    """
    package = importlib.util.find_spec(entry.package)
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        path = Path(folder) / entry.path
        if path.is_file():
            return path
    if package is None:
        raise HarnessError(
            f"photograph '{entry.name}' is missing: its package is not installed; run "
            f"pip install -e . for {entry.distribution}"
        )
    raise HarnessError(
        f"photograph '{entry.name}' is missing: {entry.path} of {entry.distribution} is not "
        f"there; run pip install --force-reinstall --no-deps {entry.distribution}"
    )


def describe(name: str) -> Photograph:
    """Return name and SHA-256 of a photograph's file, as they enter the hash of what is trained."""
    return Photograph(name=name, sha256=file_sha256(path_of(name)))


@functools.lru_cache(maxsize=32)
def load(name: str) -> Image8:
    """Return a photograph as read-only (H, W, 3) uint8 RGB.

    Raises:
        UsageError: the catalogue has no such photograph.
        HarnessError: its file is missing or damaged.
    """
    image = read_image(path_of(name))
    image.flags.writeable = False
    return image


def size_px(name: str) -> tuple[int, int]:
    """Return height and width of a photograph, from its file's header.

    Raises:
        UsageError: the catalogue has no such photograph.
        HarnessError: its file is missing or damaged.
    """
    return image_size(path_of(name))


def path_of(name: str) -> Path:
    """Return the file of a photograph.

    Raises:
        UsageError: the catalogue has no such photograph.
        HarnessError: its file is missing.
    """
    return locate(catalogue_entry(photograph_catalogue(), name))
