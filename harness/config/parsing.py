"""The border: YAML becomes schemas, strictly, and what does not fit is one sentence.

The YAML reader is stricter than YAML 1.1: a key that occurs twice is an error, and so is a number
with leading zeros, which YAML 1.1 reads as octal, or with colons, which it reads to the base of
sixty. Control characters, values that hold themselves, and aliases that stand for more than a
person writes are refused before anything is built of them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from harness.config.errors import UNPRINTABLE, UsageError, did_you_mean
from harness.config.package import PACKAGE_FOLDER
from harness.config.spec import Spec

S = TypeVar("S", bound=Spec)

_OCTAL = re.compile(r"[-+]?0[0-9_]+")
_LARGEST_BYTES = 2**20
_MOST_VALUES = 100_000
"""Values of one file, each alias counted as all that it stands for."""


class _Strict:
    """Refuses what YAML 1.1 reads as something else than it looks like, and what never ends.

    Stands before one of PyYAML's loaders among the bases of a class.
    """

    def get_single_node(self) -> Any:
        node = super().get_single_node()  # type: ignore[misc]
        if node is not None:
            _check_size(node, {})
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)  # type: ignore[misc]
        found = UNPRINTABLE.search(value) if isinstance(value, str) else None
        if found is not None:
            raise _refused(f"the character {found[0]!a} belongs in no text", node)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise _refused(f"key '{key.value}' occurs twice", key)
                seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)  # type: ignore[misc]
        return found

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        text = self.construct_scalar(node)
        if _OCTAL.fullmatch(text):
            raise _refused(
                f"'{text}' has leading zeros, which YAML reads as octal; write it without", node
            )
        if ":" in text:
            raise _refused(
                f"'{text}' is read as a number to the base of sixty; put it in quotes", node
            )
        try:
            if node.tag.endswith(":float"):
                number: int | float = super().construct_yaml_float(node)  # type: ignore[misc]
            else:
                number = super().construct_yaml_int(node)  # type: ignore[misc]
        except (ValueError, IndexError) as error:
            raise _refused(f"'{text[:40]}' is no number, or too long a one", node) from error
        return number


class _StrictLoader(_Strict, yaml.SafeLoader):
    """PyYAML's own parser, whose messages say what is wrong with a file, and where."""


class _FastLoader(_Strict, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's parser where PyYAML was built with it: ten times as fast.

    It accepts a little more (a tab behind a key's colon), so only files that ship are read by it.
    """


def _refused(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _check_size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for, its aliases written out.

    Raises:
        ConstructorError: they are too many, or a value holds itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        if known[id(node)] == 0:
            raise _refused("a value holds itself", node)
        return known[id(node)]
    known[id(node)] = 0
    total = 1
    for child in node.value:
        for inner in child if isinstance(child, tuple) else (child,):
            total += _check_size(inner, known)
        if total > _MOST_VALUES:
            raise _refused(
                f"it stands for more than {_MOST_VALUES:,} values, aliases counted; write fewer",
                node,
            )
    known[id(node)] = total
    return total


_LOADERS: tuple[Any, ...] = (_StrictLoader, _FastLoader)
for _tag in ("int", "float"):
    for _loader in _LOADERS:
        _loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _loader.construct_number)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        UsageError: the file cannot be read or is no YAML mapping; names file and line.
    """
    try:
        content = _content_of(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark is not None else str(path)
        problem = " ".join(str(error.problem or error).split())
        raise UsageError(f"{where} is not valid YAML: {problem}") from error
    except RecursionError:
        raise UsageError(
            f"{path} nests too deeply to be read; no file written by hand does"
        ) from None
    except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
        # PyYAML lets through what Python says of dates that are none and of keys such as lists.
        problem = " ".join(str(error).split())
        raise UsageError(f"{path} is not valid YAML: {problem}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold a mapping of keys to values")
    return content


def _content_of(path: Path) -> Any:
    text = _text_of(path)
    if _ships(path):
        # What is wrong with a file that somebody changed is said by the other parser.
        with contextlib.suppress(yaml.YAMLError, ValueError, AttributeError, TypeError):
            return yaml.load(text, Loader=_FastLoader)
    return yaml.load(text, Loader=_StrictLoader)


def _ships(path: Path) -> bool:
    """Return whether a file lies in one of this project's folders of YAML."""
    shipped = (PACKAGE_FOLDER, PACKAGE_FOLDER.parent / "datasets")
    return any(path.is_relative_to(folder) for folder in shipped)


def _text_of(path: Path) -> str:
    """Return the text of a file that a person may have written.

    Raises:
        UsageError: it is too large, or endless as a device is.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST_BYTES + 1)
    if len(data) > _LARGEST_BYTES:
        raise UsageError(
            f"{path} has more than {_LARGEST_BYTES >> 20} MiB, which no YAML file of a person "
            "has; check the path"
        )
    return data.decode("utf-8")


def parse(model: type[S], content: Any, where: str) -> S:
    """Build ``model`` from ``content``; ``where`` (a file or flag) is named in the error.

    Raises:
        UsageError: a key is unknown or missing, or a value does not fit; names the line of a file.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        line = _line_of(where, _location(error))
        raise UsageError(f"{where}{line}: {explain(model, error)}") from error


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """Return one sentence on the first problem of ``error``, with the nearest right key."""
    first = _first(error)
    keys = [str(part) for part in first["loc"]]
    where = ".".join(keys) or "the whole"
    if first["type"] == "extra_forbidden":
        deeper = _deeper_key(model, keys)
        if deeper is not None:
            return f"unknown key '{where}'; did you mean '{deeper}'?"
        return f"unknown key '{where}'; {did_you_mean(keys[-1], _known_keys(model, keys[:-1]))}"
    if first["type"] == "missing":
        return f"key '{where}' is missing"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        known = re.findall(r"'([^']*)'", first["ctx"]["expected"])
        return f"'{where}': '{first['input']}' is unknown; {did_you_mean(first['input'], known)}"
    if first["type"] == "model_type":
        message = "must be a mapping of keys to values"
    return f"'{where}': {message[0].lower()}{message[1:]}" if keys else message


def _first(error: ValidationError) -> Any:
    # A misspelt key is missing as well; the misspelling says more.
    return min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")


def _location(error: ValidationError) -> tuple[str | int, ...]:
    """Return where the first problem is, also inside a value with a schema of its own."""
    first = _first(error)
    location: tuple[str | int, ...] = tuple(first["loc"])
    inner = getattr(first.get("ctx", {}).get("error"), "__cause__", None)
    return location + _location(inner) if isinstance(inner, ValidationError) else location


def _line_of(where: str, location: Sequence[str | int]) -> str:
    """Return ``, line N`` of the key that an error is about, if ``where`` is a YAML file."""
    path = Path(where)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return ""
    try:
        node = yaml.compose(_text_of(path), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError, ValueError, RecursionError, UsageError):
        return ""
    line = None
    for part in location:
        found = _child(node, part)
        if found is None:
            break
        key, node = found
        line = key.start_mark.line + 1
    return "" if line is None else f", line {line}"


def _child(node: Any, part: str | int) -> tuple[Any, Any] | None:
    """Return the node of a key, or of a position, with the node that it is a value of."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _deeper_key(model: type[BaseModel], keys: list[str]) -> str | None:
    """Return where a key of the top level belongs, if one of the mappings below has it."""
    if len(keys) != 1:
        return None
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            if keys[0] in inner.model_fields:
                return f"{name}.{keys[0]}"
    return None


def _known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return the field names at ``path``; positions in lists are passed over."""
    models: list[type[BaseModel]] = [model]
    for key in path:
        for candidate in list(models):
            field = candidate.model_fields.get(key)
            if field is not None:
                models = _models_in(field.annotation)
                break
    known: list[str] = []
    for found in models:
        known += found.model_fields
    return known


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for part in getattr(annotation, "__args__", ()):
        found += _models_in(part)
    return found
