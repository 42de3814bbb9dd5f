"""Write docs/keys.md: every key of every YAML file that a person may write, from the schemas.

``python docs/make_keys.py`` writes the page, ``--check`` only says whether it is up to date. A key
without a description in the docstring of its schema is an error.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

sys.path.insert(0, str(Path(__file__).parents[1]))

from pydantic.fields import FieldInfo

from harness.config.degradation import Degradation, built_in_kinds, degradation_class
from harness.config.recipes import Recipe
from harness.config.spec import Spec
from harness.planning.validate import FILE_KINDS, FileKind

PAGE = Path(__file__).with_name("keys.md")

INTRODUCTION = """# Keys of all files

Every key of every YAML file that a person may write. The page is made from the schemas by
`python docs/make_keys.py`, so it says what the program reads. An unknown key, or one that occurs
twice, is an error with file and line. `python -m harness validate FILE` says what a file is and
names the first mistake in it. [Settings and protocols](protocols.md#a-setting-of-your-own) shows a
whole setting of one's own.
"""

ABOUT = {
    "setting": "`--setting FILE`, or `settings/NAME.yaml` in a folder of `--include`.",
    "test set": "`--test-set FILE`, or `out_of_distribution/NAME.yaml` in a folder of `--include`.",
    "data set": "`sets/NAME.yaml` in a folder of `--include`.",
    "protocol": "`--protocol FILE`, or `protocols/NAME.yaml` in a folder of `--include`.",
    "recipe": "`--recipe FILE`. A recipe with `base` says only what differs from it.",
    "study": "`--study FILE` of `ablate`.",
    "request": "`--config FILE`; flags replace what it says.",
}

MORE_KEYS = {
    "base": ("text", "none", "recipe, by name or file, whose values hold where this one has none"),
}

NOT_WRITTEN = {(Recipe, "name")}
"""Keys that follow from the file's name."""

WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    written: set[type[Spec]] = set()
    for kind in FILE_KINDS:
        parts.append(_section(kind, written))
    parts.append(_degradations())
    return "\n".join(parts)


def _section(kind: FileKind, written: set[type[Spec]]) -> str:
    parts = [f"## {kind.name.capitalize()}\n", f"{ABOUT[kind.name]}\n"]
    parts.append(_table(kind.schema, kind.more_keys))
    for key, schema in _nested(kind.schema):
        if schema in written:
            parts.append(f"`{key}`: as [above](#{_anchor(schema)}).\n")
            continue
        written.add(schema)
        parts += [f"### {_title(schema)}\n", f"Under `{key}`. {_summary(schema)}\n", _table(schema)]
    return "\n".join(parts)


def _degradations() -> str:
    parts = ["## Degradations\n"]
    parts.append(
        "Under `degradation` of a task. `kind` names one of those below, or one of your own; a "
        "range is `[lowest, highest]`, two equal ends fix the value.\n"
    )
    for kind in built_in_kinds():
        schema = degradation_class(kind)
        parts += [f"### `{kind}`\n", f"{_summary(schema)}\n"]
        if set(schema.model_fields) != {"kind"}:
            parts.append(_table(schema))
    return "\n".join(parts)


def _table(schema: type[Spec], more: tuple[str, ...] = ()) -> str:
    lines = ["| key | value | if left out | meaning |", "| --- | --- | --- | --- |"]
    meanings = _meanings(schema)
    for name, field in schema.model_fields.items():
        if (schema, name) in NOT_WRITTEN or (issubclass(schema, Degradation) and name == "kind"):
            continue
        if name not in meanings:
            raise SystemExit(f"{schema.__name__}.{name} has no description in its docstring")
        value = f"{_words(field.annotation)}{_bounds(field)}"
        lines.append(f"| `{name}` | {value} | {_default(field)} | {meanings[name]} |")
    for name in more:
        value, default, meaning = MORE_KEYS[name]
        lines.append(f"| `{name}` | {value} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _nested(schema: type[Spec]) -> list[tuple[str, type[Spec]]]:
    """Return the schemas below ``schema`` with their keys, outer ones first."""
    found: list[tuple[str, type[Spec]]] = []
    for name, field in schema.model_fields.items():
        for inner in _schemas_in(field.annotation):
            found.append((name, inner))
            found += [(f"{name}.{key}", deeper) for key, deeper in _nested(inner)]
    return found


def _schemas_in(annotation: Any) -> list[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [] if issubclass(annotation, Degradation) else [annotation]
    found: list[type[Spec]] = []
    for part in get_args(annotation):
        if not isinstance(part, str):
            found += _schemas_in(part)
    return found


def _words(annotation: Any) -> str:
    """Return a type in words."""
    if isinstance(annotation, type) and issubclass(annotation, Degradation):
        return "a [degradation](#degradations)"
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return f"[mapping](#{_anchor(annotation)})"
    return WORDS.get(annotation) or _words_of_parts(annotation)


def _words_of_parts(annotation: Any) -> str:
    """Return a type that is made of others in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(part) for part in arguments if part is not type(None))
    if origin is tuple and arguments == (float, float):
        return "range, two numbers"
    if origin is tuple:
        count = "list" if arguments[-1] is Ellipsis else f"list of {len(arguments)}"
        return f"{count}: {_words(arguments[0])}"
    if origin is dict:
        return f"names to {_words(arguments[1])}"
    return _words(arguments[0]) if arguments else "any value"


def _bounds(field: FieldInfo) -> str:
    texts = []
    for rule in field.metadata:
        for name, sign in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
            if hasattr(rule, name):
                texts.append(f"{sign} {getattr(rule, name):g}")
    return f", {', '.join(texts)}" if texts else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}, "") or isinstance(value, Spec):
        return "none"
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meanings(schema: type[Spec]) -> dict[str, str]:
    """Return the descriptions of a schema's keys, from its docstring and those of its bases."""
    found: dict[str, str] = {}
    for cls in reversed(schema.__mro__):
        text = inspect.cleandoc(cls.__doc__ or "") if issubclass(cls, Spec) else ""
        _, _, attributes = text.partition("Attributes:\n")
        for entry in re.split(r"\n(?=    \w)", "\n" + attributes.split("\n\n")[0]):
            name, colon, meaning = entry.strip().partition(":")
            if colon:
                found[name] = _markdown(meaning)
    return found


def _summary(schema: type[Spec]) -> str:
    return _markdown(inspect.cleandoc(schema.__doc__ or "").split("\n\n")[0])


def _markdown(text: str) -> str:
    words = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
    return re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", words)


def _title(schema: type[Spec]) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", schema.__name__.removesuffix("Spec"))
    return f"Mapping: {words.lower()}"


def _anchor(schema: type[Spec]) -> str:
    return re.sub(r"\W+", "-", _title(schema).lower())


def main() -> None:
    """Write the page, or check it."""
    text = page()
    if "--check" in sys.argv:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{PAGE} is not what the schemas say; run python docs/make_keys.py")
        return
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
