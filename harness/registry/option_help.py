"""The options of a method as text: defaults, choices, and what each one means."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from dataclasses import dataclass
from typing import Any, Literal

from harness.method import MethodSpec
from harness.registry.options import options_as_json, parse_options

_ENTRY = re.compile(r"^    (\w+): (.*)$")
_REFERENCES = re.compile(r" \(see [^()]*(\([^()]*\))?[^()]*\)| \(:class:`[^`]*`\)")


@dataclass(frozen=True)
class OptionGroup:
    """Options of a method that belong together.

    Attributes:
        title: why they do; empty where a method has one group only.
        heads: of the columns.
        lines: one per option, a text per column; the name and the value come first.
    """

    title: str
    heads: tuple[str, ...]
    lines: list[list[str]]


def option_groups(spec: MethodSpec) -> list[OptionGroup]:
    """Return the options of a method: what its release settles, what is chosen here, and others."""
    by_name = {line[0]: line for line in option_lines(spec)}
    found = []
    if spec.released:
        lines = []
        for name, text in spec.released.items():
            lines.append([name, by_name[name][1], text])
        title = f"what the authors' release holds; other values belong to {spec.extended_by}"
        found.append(OptionGroup(title, ("option", "value", "what is public"), lines))
    if spec.chosen:
        title = "chosen by this project"
        if spec.released:
            title = "chosen here, because it is not public"
        lines = []
        for name, reason in spec.chosen.items():
            _, default, meaning = by_name[name]
            lines.append([name, default, f"{meaning} Default: {reason}."])
        heads = ("option", "default", "what it is [what it may be], and why this default")
        found.append(OptionGroup(title, heads, lines))
    for name in (*spec.released, *spec.chosen):
        del by_name[name]
    title = "other options" if found else ""
    heads = ("option", "default", "what it is [what it may be]")
    return [*found, OptionGroup(title, heads, list(by_name.values()))]


def option_lines(spec: MethodSpec) -> list[list[str]]:
    """Return one line per option: name, default at full size, meaning, and what it may be."""
    explained, choices = meanings(spec.options), option_choices(spec.options)
    lines = []
    values = {**spec.defaults, **spec.sizes.get("full", {})}
    for name, default in options_as_json(parse_options(spec, values)).items():
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
