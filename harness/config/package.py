"""The folder of this package."""

from __future__ import annotations

from pathlib import Path

PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
"""The folder ``harness``: in a checkout, or among installed packages."""
