"""Listing the folders of a layout, by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from pathlib import Path

from harness.config.data_sets import ANY_GROUP, GROUP, Layout
from harness.config.errors import HarnessError
from harness.data.on_disk.pairing import is_image


def entries(folder: Path) -> list[Path]:
    """Return what lies in ``folder``, sorted; nothing if it is missing.

    Raises:
        HarnessError: the folder cannot be listed.
    """
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise HarnessError(
            f"folder {folder} cannot be listed: {error.strerror}; change its permissions"
        ) from error


def images(folder: Path, pattern: str, others: list[Path]) -> Iterator[Path]:
    """Yield the images whose names match a shell pattern; the rest is added to ``others``."""
    for path in entries(folder):
        fits = is_image(path) and fnmatch.fnmatchcase(path.name, pattern)
        if fits and not path.is_dir():
            yield path
        else:
            others.append(path)


def layout_groups(layout: Layout, folder: Path) -> list[str]:
    """Return the groups of a layout; one without a name if it has none."""
    if not layout.groups:
        return [""]
    if layout.groups != (ANY_GROUP,):
        return list(layout.groups)
    groups = []
    for entry in entries(folder):
        if entry.is_dir() and group_folder(folder, layout.folders[0], entry.name).is_dir():
            groups.append(entry.name)
    return groups


def group_folder(folder: Path, below: str, group: str) -> Path:
    """Return a layout's folder of one group."""
    return folder / below.replace(GROUP, group)
