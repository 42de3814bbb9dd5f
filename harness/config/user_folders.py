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


def _below(named: str | None, in_home: str) -> Path | None:
    if named:
        return Path(named) / _NAME
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the system does not know the user
        return None
    return home / in_home / _NAME
