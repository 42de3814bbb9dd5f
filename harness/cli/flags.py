"""Groups of flags: a dataclass declares them once, and any subcommand takes the whole group."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import typer

from harness.config.errors import UsageError
from harness.config.quoting import split_named


def takes_groups(function: Any) -> Callable[..., None]:
    """Return ``function`` with every parameter that is a dataclass replaced by its fields.

    Typer reads the flags from the signature; the call gets instances of the dataclasses again.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if dataclasses.is_dataclass(hints[name]):
            groups[name] = hints[name]
            parameters += _parameters_of(hints[name])
        else:
            keyword = parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            parameters.append(keyword)

    @functools.wraps(function)
    def command(**values: Any) -> None:
        arguments: dict[str, Any] = {}
        for name, group in groups.items():
            fields = {field.name: values.pop(field.name) for field in dataclasses.fields(group)}
            arguments[name] = group(**fields)
        function(**arguments, **values)

    # Typer asks for both; the wrapped function's own would name the groups.
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameters_of(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_default(field),
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(group)
    ]


def _default(field: dataclasses.Field[Any]) -> Any:
    """Return the default of a flag; a field without one is a required flag."""
    if field.default is dataclasses.MISSING:
        return inspect.Parameter.empty
    return field.default


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` with ``changes``; mappings are merged key by key."""
    result = dict(values)
    for key, value in changes.items():
        known = result.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        result[key] = {**known, **value} if both else value  # type: ignore[dict-item]
    return result


def finite(value: float | None) -> float | None:
    """Return the number of a flag.

    Raises:
        BadParameter: it is infinite or no number, which compares with others as nobody means.
    """
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number that can be meant")
    return value


def named_values(texts: list[str], flag: str, form: str) -> dict[str, str]:
    """Return the pairs of a repeatable flag such as ``NAME=FILE``; a name may have options.

    Raises:
        UsageError: a text has another form, or a name is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, value = split_named(text) or ("", "")
        if not name or name in found:
            raise UsageError(f"{flag} '{text}' is not {form}, each name once")
        found[name] = value
    return found
