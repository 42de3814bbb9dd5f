"""The embedded photographs: the file of each in an installed package, and which scene it shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.config.errors import UsageError, did_you_mean
from harness.config.parsing import parse, read_yaml
from harness.config.settings import SyntheticData
from harness.config.spec import Spec


class CatalogueEntry(Spec):
    """One photograph and the file that holds it.

    Attributes:
        name: what settings call it.
        package: the package that holds the file, as it is imported.
        distribution: the same package, as pip calls it.
        path: the file inside the package.
        scene: what must not be on both sides of a split.
        about: what the photograph shows.
    """

    name: str
    package: str
    distribution: str
    path: str
    scene: str
    about: str


class PhotographPackage(Spec):
    """An optional package whose wheel holds photographs, a data set of their own.

    Attributes:
        name: what requests and results call the set.
        distribution: the package, as pip calls it.
        requirement: the same with its version, as pip installs it.
        pattern: the files that are meant, below the folder of installed packages.
        licence: what the package says of them, and what it does not.
    """

    name: str
    distribution: str
    requirement: str
    pattern: str
    licence: str


class _Catalogue(Spec):
    photographs: tuple[CatalogueEntry, ...]
    packages: tuple[PhotographPackage, ...] = ()


def read_catalogue(path: Path) -> Mapping[str, CatalogueEntry]:
    """Return the photographs that a catalogue lists, by name.

    Raises:
        UsageError: the file cannot be read, or has an unknown key.
    """
    entries = parse(_Catalogue, read_yaml(path), str(path)).photographs
    return {entry.name: entry for entry in entries}


def read_packages(path: Path) -> Mapping[str, PhotographPackage]:
    """Return the optional packages of photographs that a catalogue lists, by name.

    Raises:
        UsageError: the file cannot be read, or has an unknown key.
    """
    packages = parse(_Catalogue, read_yaml(path), str(path)).packages
    return {package.name: package for package in packages}


def catalogue_entry(catalogue: Mapping[str, CatalogueEntry], name: str) -> CatalogueEntry:
    """Return the entry of a photograph; raise :class:`UsageError` if there is none."""
    if name not in catalogue:
        raise UsageError(f"unknown photograph '{name}'; {did_you_mean(name, catalogue)}")
    return catalogue[name]


def check_split(catalogue: Mapping[str, CatalogueEntry], split: SyntheticData) -> None:
    """Refuse a split of photographs in which a scene is on two sides.

    Raises:
        UsageError: names the scene and its two sides, or an unknown photograph.
    """
    side_of: dict[str, str] = {}
    sides = {"train": split.train, "validation": split.validation, "test": split.test}
    for side, names in sides.items():
        for name in names:
            scene = catalogue_entry(catalogue, name).scene
            first = side_of.setdefault(scene, side)
            if first != side:
                raise UsageError(
                    f"scene '{scene}' is in {first} and in {side}; put every scene in one split"
                )
