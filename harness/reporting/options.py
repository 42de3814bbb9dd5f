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
    """Return by option what its class's docstring states of it under ``Attributes``.

    Options that no docstring explains are left out.
    """
    found: dict[str, str] = {}
    for base in reversed(options.__mro__):
        found |= _attributes(base.__dict__.get("__doc__") or "")
    explained = {}
    for field in dataclasses.fields(options):
        if field.name in found:
            explained[field.name] = _plain(found[field.name])
    return explained


def choices(options: type) -> dict[str, tuple[str, ...]]:
    """Return by option the words that it may be, of those options that are words."""
    found = {}
    for name, hint in typing.get_type_hints(options).items():
        if typing.get_origin(hint) is Literal:
            found[name] = tuple(map(str, typing.get_args(hint)))
    return found


def option_table(options: type, defaults: Mapping[str, Any]) -> list[list[str]]:
    """Return one line per option: name, default, and what it means with what it may be."""
    explained, words = meanings(options), choices(options)
    lines = []
    for name, default in defaults.items():
        text = explained.get(name, "")
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
