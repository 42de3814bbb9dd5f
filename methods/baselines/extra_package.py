"""The optional package spandrel_extra_arches, whose networks allow no commercial use.

It imports neither torch nor the package.
"""

from __future__ import annotations

import importlib.util

from harness.method import OptionError

EXTRA_PACKAGE = "spandrel_extra_arches"
INSTALL_EXTRA = "pip install -e '.[noncommercial]'"
EXTRA_LICENCE = "Academic Public License (non-commercial)"


def extra_installed() -> bool:
    """Return whether the optional package is installed; it is not imported."""
    return importlib.util.find_spec(EXTRA_PACKAGE) is not None


def require_extra(name: str) -> None:
    """Refuse to go on without the optional package, which the network ``name`` needs.

    Raises:
        OptionError: the package is not installed; the text has the command.
    """
    if not extra_installed():
        raise OptionError(
            f"{name} needs the package {EXTRA_PACKAGE}, which is optional for its non-commercial "
            f"licence; install it with `{INSTALL_EXTRA}`"
        )
