"""Where YAML lies: the folder that ships, and folders of one's own (``--include``).

Each kind has one folder and one file per name: ``settings``, ``sets``, ``protocols`` and
``out_of_distribution``. A folder of one's own may have ``degradations`` too, with Python files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from harness.config.errors import HarnessError, UsageError, did_you_mean
from harness.config.package import PACKAGE_FOLDER

CATALOGUE = "photographs.yaml"
INCLUDE_VARIABLE = "HARNESS_INCLUDE"
"""Environment variable with folders of one's own; worker processes read it."""

KINDS = {
    "settings": "setting",
    "sets": "data set",
    "protocols": "protocol",
    "out_of_distribution": "test set",
}
"""Folders of YAML, and what each file in them is."""

DEGRADATIONS = "degradations"
"""Folder of Python files inside a folder of one's own."""


def datasets_folder() -> Path:
    """Return the folder of YAML that ships: inside the wheel, or ``datasets/`` of a checkout.

    Raises:
        HarnessError: the installation has no such folder.
    """
    package = PACKAGE_FOLDER
    for folder in (package / "datasets", package.parent / "datasets"):
        if (folder / CATALOGUE).is_file():
            return folder
    raise HarnessError(f"{package} has no folder of settings; install the package again with pip")


def recipes_folder() -> Path:
    """Return the folder of the recipes that ship."""
    return PACKAGE_FOLDER / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship with the harness."""
    return sorted(path.stem for path in recipes_folder().glob("*.yaml"))


def include_folders(folders: Sequence[Path]) -> None:
    """Add folders of one's own, here and in processes that this one starts.

    Raises:
        UsageError: a folder does not exist or holds none of the known folders, or one of its files
            has a name that is taken.
    """
    for folder in folders:
        _check_folder(folder)
    if folders:
        paths = dict.fromkeys([*map(str, own_folders()), *(str(f.resolve()) for f in folders)])
        os.environ[INCLUDE_VARIABLE] = os.pathsep.join(paths)
    for kind in KINDS:
        files_by_name(kind)


def own_folders() -> list[Path]:
    """Return the folders of one's own, in the order in which they were named."""
    listed = os.environ.get(INCLUDE_VARIABLE, "").split(os.pathsep)
    return [Path(text) for text in listed if text]


def own_degradation_files() -> list[Path]:
    """Return the Python files with degradations of one's own, sorted within each folder."""
    found: list[Path] = []
    for folder in own_folders():
        found += sorted((folder / DEGRADATIONS).glob("*.py"))
    return found


def files_by_name(kind: str) -> dict[str, Path]:
    """Return all files of a kind by name, sorted.

    Raises:
        UsageError: a file of one's own has a name that is taken.
    """
    found = shipped_files(kind)
    for folder in own_folders():
        for path in sorted((folder / kind).glob("*.yaml")):
            if path.stem in found:
                raise UsageError(
                    f"{path}: a {KINDS[kind]} called '{path.stem}' exists already in "
                    f"{found[path.stem].parent}; choose another name"
                )
            found[path.stem] = path
    return dict(sorted(found.items()))


def shipped_files(kind: str) -> dict[str, Path]:
    """Return the files of a kind that ship, by name."""
    return {path.stem: path for path in sorted((datasets_folder() / kind).glob("*.yaml"))}


def is_file_name(name: str) -> bool:
    """Return whether ``name`` is a YAML file of one's own and not a name."""
    return name.endswith((".yaml", ".yml"))


def locate(kind: str, name: str, flag: str = "") -> Path:
    """Return the file of a name, or ``name`` itself where it is a YAML file.

    Raises:
        UsageError: no such name; the nearest is named.
    """
    if is_file_name(name):
        return Path(name).expanduser()
    known = files_by_name(kind)
    if name not in known:
        what = f"{flag} {name} is unknown" if flag else f"unknown {KINDS[kind]} '{name}'"
        near = did_you_mean(name, known)
        raise UsageError(f"{what}; {near} (a file of your own ends in .yaml)")
    return known[name]


def _check_folder(folder: Path) -> None:
    known = [*KINDS, DEGRADATIONS]
    if not folder.is_dir():
        raise UsageError(f"--include {folder} is no folder; check the path")
    if not any((folder / kind).is_dir() for kind in known):
        raise UsageError(
            f"--include {folder} holds none of the folders {', '.join(known)}; put your files there"
        )
