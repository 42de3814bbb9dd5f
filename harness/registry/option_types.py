"""The types of a method's options, by which values from a flag are read."""

from __future__ import annotations

import functools
import typing
from pathlib import Path
from typing import Any


@functools.cache
def option_types(options: type) -> dict[str, Any]:
    """Return the type of each option of an options type."""
    return dict(typing.get_type_hints(options))


def accepts(hint: Any, kind: type) -> bool:
    """Return whether a type is ``kind``, or a union with it; ``tuple`` stands for all tuples."""
    for member in (hint, *typing.get_args(hint)):
        if member is kind or typing.get_origin(member) is kind:
            return True
    return False


def from_text(text: str, hint: Any) -> Any:
    """Read an option's value from a flag: ``none`` is None, commas separate, where the type has it.

    Paths and other texts are read as they are.
    """
    if text.lower() == "none" and accepts(hint, type(None)):
        return None
    if accepts(hint, tuple):
        return text.split(",")
    if accepts(hint, Path):
        return Path(text).expanduser()
    return text


def with_list_commas(text: str, hint: Any) -> str:
    """Return an option's value as ids hold it: ``;`` in a list, as flags write it, is a comma."""
    return text.replace(";", ",") if ";" in text and accepts(hint, tuple) else text


def shown(text: str, hint: Any) -> str:
    """Return an option's value as tables show it: of a path, the file's name."""
    if accepts(hint, Path):
        return text.replace("\\", "/").rstrip("/").rpartition("/")[2] or text
    return text
