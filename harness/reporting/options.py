"""The options of a method as a person reads them: values, choices, and what each one means."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Mapping
from typing import Any, Literal

_ENTRY = re.compile(r"^    (\w+): (.*)$")


def meanings(options: type) -> dict[str, str]:
    """Return option -> what its class's docstring says of it under ``Attributes``.

    Options that no docstring explains are left out.
    """
    found: dict[str, str] = {}
    for base in reversed(options.__mro__):
        found |= _attributes(base.__dict__.get("__doc__") or "")
    names = {field.name for field in dataclasses.fields(options)}
    return {name: _plain(text) for name, text in found.items() if name in names}


def choices(options: type) -> dict[str, tuple[str, ...]]:
    """Return option -> the words that it may be, of those options that are words."""
    hints = typing.get_type_hints(options)
    return {
        name: tuple(str(value) for value in typing.get_args(hint))
        for name, hint in hints.items()
        if typing.get_origin(hint) is Literal
    }


def option_table(options: type, defaults: Mapping[str, Any]) -> list[list[str]]:
    """Return one line per option: name, default, and what it means with what it may be."""
    said, words = meanings(options), choices(options)
    lines = []
    for name, default in defaults.items():
        text = said.get(name, "")
        if name in words:
            text = f"{text} [{', '.join(words[name])}]".strip()
        lines.append([name, "none" if default is None else str(default), text])
    return lines


def _attributes(docstring: str) -> dict[str, str]:
    _, _, section = inspect.cleandoc(docstring).partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            name = entry[1]
            found[name] = entry[2]
        elif name and line.startswith("        "):
            found[name] += f" {line.strip()}"
        elif line.strip():
            break
    return found


def _plain(text: str) -> str:
    """Return ``text`` without the marks of reStructuredText and references to code."""
    text = re.sub(r" \(see [^()]*(\([^()]*\))?[^()]*\)| \(:class:`[^`]*`\)", "", text)
    return text.replace("``", "")
