"""Names of files as they are compared, and those that cannot be part of a data set.

One name can be written in several ways: an accent as a letter of its own or as a mark after the
letter (Unicode forms NFC and NFD; macOS writes the latter), a suffix in large or small letters.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from harness.data.images.read import SUFFIXES

__all__ = [
    "NOT_UTF8",
    "SUFFIXES",
    "compared",
    "compared_name",
    "compared_stem",
    "is_image",
    "is_utf8",
    "readable",
]

NOT_UTF8 = "its name is not UTF-8, so results and manifests cannot name it; rename it"
"""Why a file is refused."""


def is_image(path: Path) -> bool:
    """Return whether a file's name is that of an image, and not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def compared(text: str) -> str:
    """Return the one form of a text that all its Unicode forms share."""
    return unicodedata.normalize("NFC", text)


def compared_stem(path: Path) -> str:
    """Return a file's stem as it is compared."""
    return compared(path.stem)


def compared_name(path: Path) -> str:
    """Return a file's name as it is compared: its suffix in small letters."""
    return compared(path.stem) + path.suffix.lower()


def is_utf8(name: str) -> bool:
    """Return whether a name can be written into files of results."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(path: Path) -> str:
    r"""Return a path as text that can be printed: a byte that is not UTF-8 as ``\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
