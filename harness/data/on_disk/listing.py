"""Listing the folders of a layout, by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from pathlib import Path

from harness.config.data_sets import ALTERNATIVE, ANY_GROUP, GROUP, Layout
from harness.config.errors import HarnessError
from harness.data.on_disk.gathered import Gathered
from harness.data.on_disk.names import NOT_UTF8, compared_name, is_image, is_utf8


def entries(folder: Path) -> list[Path]:
    """Return what is in ``folder``, sorted; nothing if it is missing.

    Raises:
        HarnessError: the folder cannot be listed.
    """
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise HarnessError(
            f"folder {folder} cannot be listed: {error.strerror}; change its permissions"
        ) from error


def images(folder: Path, pattern: str, gathered: Gathered) -> Iterator[Path]:
    """Yield the images whose names match a shell pattern; the rest is added to ``gathered``."""
    for path in entries(folder):
        if not is_image(path) or not matches(path, pattern) or path.is_dir():
            gathered.others.append(path)
        elif is_utf8(path.name):
            yield path
        else:
            gathered.reject(path, NOT_UTF8)


def matches(path: Path, pattern: str) -> bool:
    """Return whether a name matches a shell pattern, or one of several that ``|`` separates.

    The suffix may be in large or small letters.
    """
    name = compared_name(path)
    parts = pattern.split(ALTERNATIVE)
    return any(fnmatch.fnmatchcase(name, compared_name(Path(part))) for part in parts)


def layout_groups(layout: Layout, folder: Path, gathered: Gathered) -> list[str]:
    """Return the groups of a layout; one without a name if it has none."""
    if not layout.groups:
        return [""]
    if layout.groups != (ANY_GROUP,):
        return list(layout.groups)
    groups = []
    above = folder / layout.folders[0].partition(GROUP)[0]
    for entry in entries(above):
        if not entry.is_dir() or not group_folder(folder, layout.folders[0], entry.name).is_dir():
            continue
        if is_utf8(entry.name):
            groups.append(entry.name)
        else:
            gathered.reject(entry, NOT_UTF8)
    return groups


def group_folder(folder: Path, below: str, group: str) -> Path:
    """Return a layout's folder of one group."""
    return folder / below.replace(GROUP, group)
