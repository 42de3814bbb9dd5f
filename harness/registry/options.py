"""The options of a method: strict, typed, and checked against the setting."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.config.errors import UsageError, did_you_mean
from harness.method import CheckContext, MethodSpec, OptionError
from harness.registry.references import MethodChoice


def resolve_options(
    method: MethodChoice,
    size: str,
    tasks: tuple[str, ...],
    *,
    micro_batch: int,
    published: bool = False,
    steps: int | None = None,
) -> Any:
    """Return the options of ``method`` at a recipe's size, checked against the setting.

    Precedence, from the weakest: the type's defaults, the spec's, those that follow from the
    setting, the size's, with ``published`` those under which the authors' checkpoints run, and
    the person's.

    Args:
        method: the method and what a person set.
        size: name of a size in the recipe.
        tasks: task names of the setting, in its order.
        micro_batch: samples that the losses see at once.
        published: whether the authors' checkpoints are to be run.
        steps: optimisation steps of the training; None where nothing is trained.

    Raises:
        UsageError: unknown option or size, wrong type, or a contradiction, each by name.
    """
    spec, context = method.spec, CheckContext(tasks, micro_batch, steps)
    _check_names(method, size)
    values: dict[str, Any] = dict(spec.defaults)
    if spec.fitted is not None:
        values |= spec.fitted(context)
    values |= spec.sizes.get(size, {})
    if published:
        values |= spec.published
    for key, text in method.overrides.items():
        values[key] = _from_text(text)
    try:
        options = parse_options(spec, values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{method.id}: option {where}: {first['msg']}") from error
    if spec.check is not None:
        try:
            spec.check(options, context)
        except OptionError as error:
            raise UsageError(f"{method.id}: {error}") from error
    return options


def parse_options(spec: MethodSpec, values: Mapping[str, Any]) -> Any:
    """Build the spec's options type from plain values, also those of a stored run."""
    return _adapter(spec.options).validate_python(dict(values))


def options_as_json(options: Any) -> dict[str, Any]:
    """Return options as JSON values, every default written."""
    dumped: dict[str, Any] = _adapter(options.__class__).dump_python(options, mode="json")
    return dumped


def _check_names(method: MethodChoice, size: str) -> None:
    spec = method.spec
    known = [field.name for field in dataclasses.fields(spec.options)]
    for key in method.overrides:
        if key not in known:
            raise UsageError(f"{spec.name} has no option '{key}'; {did_you_mean(key, known)}")
    sized = spec.sizes and spec.role != "auxiliary"
    if sized and size not in spec.sizes and size != "full":
        raise UsageError(f"{spec.name} has no size '{size}'; {did_you_mean(size, spec.sizes)}")


@functools.cache
def _adapter(options: Any) -> TypeAdapter[Any]:
    # Stdlib dataclasses take their pydantic configuration from this attribute.
    options.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)
    return TypeAdapter(options)


def _from_text(text: str) -> Any:
    """Read a value from a flag: ``none`` is None, commas make a list, the rest is parsed."""
    if text.lower() == "none":
        return None
    return text.split(",") if "," in text else text
