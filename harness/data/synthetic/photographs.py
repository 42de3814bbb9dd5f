"""Photographs that lie in installed wheels: where they are, and reading them."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path

from harness.config.errors import HarnessError, UsageError, did_you_mean
from harness.config.parsing import parse, read_yaml
from harness.config.run_specs import Photograph
from harness.config.spec import Spec
from harness.data.images.arrays import Image8
from harness.data.images.read import read_image as read_image


class CatalogueEntry(Spec):
    """One photograph: the package (import name and pip name) and the file inside it.

    ``scene`` is what must not stand on both sides of a split.
    """

    name: str
    package: str
    distribution: str
    path: str
    scene: str
    about: str


class _Catalogue(Spec):
    photographs: tuple[CatalogueEntry, ...]


@functools.cache
def catalogue(cards: Path) -> dict[str, CatalogueEntry]:
    """Return all entries of ``photographs.yaml`` in the folder ``cards``, by name."""
    path = cards / "photographs.yaml"
    return {e.name: e for e in parse(_Catalogue, read_yaml(path), str(path)).photographs}


def _entry(cards: Path, name: str) -> CatalogueEntry:
    entries = catalogue(cards)
    if name not in entries:
        raise UsageError(f"unknown photograph '{name}'; {did_you_mean(name, entries)}")
    return entries[name]


def locate(cards: Path, name: str) -> Path:
    """Return the file of a photograph without importing the package that holds it.

    Raises:
        HarnessError: package or file is missing; says how to install it.
    """
    entry = _entry(cards, name)
    found = importlib.util.find_spec(entry.package)
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    for folder in folders:
        path = Path(folder) / entry.path
        if path.is_file():
            return path
    raise HarnessError(
        f"photograph '{name}' is missing: {entry.path} of {entry.distribution} is not installed; "
        f"run pip install --force-reinstall --no-deps {entry.distribution}"
    )


def describe(cards: Path, name: str) -> Photograph:
    """Return name and SHA-256 of the file, as they enter the hash of what is trained."""
    path = locate(cards, name)
    return Photograph(name=name, sha256=hashlib.sha256(_bytes(path)).hexdigest())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HarnessError(f"image {path} cannot be read: {error.strerror}") from error


@functools.lru_cache(maxsize=32)
def load(cards: Path, name: str) -> Image8:
    """Return a photograph as read-only (H, W, 3) uint8 RGB."""
    image = read_image(locate(cards, name))
    image.flags.writeable = False
    return image


def check_split(
    cards: Path, train: tuple[str, ...], validation: tuple[str, ...], test: tuple[str, ...]
) -> None:
    """Refuse a split in which a scene stands on two sides.

    Raises:
        UsageError: names the scene and the splits, or an unknown photograph.
    """
    seen: dict[str, str] = {}
    for split, names in (("train", train), ("validation", validation), ("test", test)):
        for name in names:
            scene = _entry(cards, name).scene
            if seen.setdefault(scene, split) != split:
                raise UsageError(
                    f"scene '{scene}' stands in {seen[scene]} and in {split}; "
                    "every scene belongs to one split"
                )
