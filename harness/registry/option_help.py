"""The options of a method as text: defaults, choices, and what each one means."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from typing import Any, Literal

from harness.method import MethodSpec
from harness.registry.options import options_as_json, parse_options

_ENTRY = re.compile(r"^    (\w+): (.*)$")
_REFERENCES = re.compile(r" \(see [^()]*(\([^()]*\))?[^()]*\)| \(:class:`[^`]*`\)")


def option_lines(spec: MethodSpec) -> list[list[str]]:
    """Return one line per option: name, default, and what it means with what it may be."""
    explained, choices = meanings(spec.options), option_choices(spec.options)
    lines = []
    for name, default in options_as_json(parse_options(spec, spec.defaults)).items():
        text = explained.get(name, "")
        if name in choices:
            text = f"{text} [{', '.join(choices[name])}]".strip()
        lines.append([name, "none" if default is None else str(default), text])
    return lines


def meanings(options: type) -> dict[str, str]:
    """Return by option what its class's docstring says of it under ``Attributes``.

    Options that no docstring explains are left out.
    """
    found: dict[str, str] = {}
    for base in reversed(options.__mro__):
        found |= _attributes(base.__dict__.get("__doc__") or "")
    known = {field.name for field in dataclasses.fields(options)}
    return {name: _plain(text) for name, text in found.items() if name in known}


def option_choices(options: type) -> dict[str, tuple[str, ...]]:
    """Return by option the words that it may be, of those options that are words."""
    found: dict[str, tuple[str, ...]] = {}
    hints: dict[str, Any] = typing.get_type_hints(options)
    for name, hint in hints.items():
        if typing.get_origin(hint) is Literal:
            found[name] = tuple(map(str, typing.get_args(hint)))
    return found


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
    return _REFERENCES.sub("", text).replace("``", "")
