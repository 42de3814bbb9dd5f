"""Folders of the person who runs the harness: for what is cached and for the configuration.

There may be none: a container can run under a user without a home, and without ``HOME``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from harness.config.errors import UsageError

_NAME = "restoration-harness"


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder for what can be computed again; None where there is no home."""
    return _below(environ.get("XDG_CACHE_HOME"), ".cache")


def configuration_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder of the user's configuration; None where there is no home."""
    return _below(environ.get("XDG_CONFIG_HOME"), ".config")


def expanded(path: Path, where: str) -> Path:
    """Return ``path`` with the home folder in the place of ``~``.

    Raises:
        UsageError: no such home is known; ``where`` names the flag or file that says so.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"{where}: '{path}' begins with ~, and no such home folder is known; write the whole "
            "path"
        ) from error


def check_no_file(folder: Path, flag: str) -> None:
    """Refuse a file where a flag names a folder, which may not exist yet.

    Raises:
        UsageError: it is one.
    """
    try:
        is_file = folder.exists() and not folder.is_dir()
    except OSError:  # what may not be looked at is named where it is read or written
        return
    if is_file:
        raise UsageError(f"{flag} {folder} is a file; name a folder")


def no_folder(path: Path) -> str:
    """Return the sentence part that says what is wrong with ``path``, which is no folder."""
    return "is a file and no folder" if path.exists() else "does not exist"


def no_file(path: Path) -> str:
    """Return the sentence part that says what is wrong with ``path``, which is no file."""
    return "is a folder and no file" if path.is_dir() else "does not exist"


def _below(named: str | None, in_home: str) -> Path | None:
    if named:
        return Path(named) / _NAME
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the system does not know the user
        return None
    return home / in_home / _NAME
