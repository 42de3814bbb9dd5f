"""The options of a method: strict, typed, and checked against the setting."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.config.errors import HarnessError, UsageError, did_you_mean, reason_of
from harness.method import CheckContext, MethodSpec, OptionError
from harness.registry.option_types import from_text, option_types
from harness.registry.references import MethodChoice, find


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
    the user's.

    Args:
        method: the method and what the user set.
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
    try:
        values = _default_values(spec, size, context, published)
        types = option_types(spec.options)
        for key, text in method.overrides.items():
            values[key] = from_text(text, types[key])
        options = parse_options(spec, values)
        _check_released(spec, options)
        if spec.check is not None:
            spec.check(options, context)
    except ValidationError as error:
        raise UsageError(f"{method.id}: {_first_problem(error)}") from error
    except OptionError as error:
        raise UsageError(f"{method.id}: {error}") from error
    except (HarnessError, KeyboardInterrupt):
        raise
    except BaseException as error:  # options and checks of plug-ins may fail in any way
        raise UsageError(
            f"{method.id}: its options cannot be checked: {reason_of(error)}"
        ) from error
    return options


def stored_method(name: str, values: Mapping[str, Any]) -> MethodChoice:
    """Return the method that a file of weights states by name and options.

    Before the extension of a method had a name of its own, its weights were stored under the
    method's: options that the release does not have tell them apart.

    Raises:
        UsageError: there is no such method.
    """
    method = find(name)
    return find(method.spec.extended_by) if changed_release(method.spec, values) else method


def stored_options(spec: MethodSpec, values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return options that a file states, checked, as JSON values.

    Args:
        spec: the method.
        values: what the file states.
        source: the file, for messages.

    Raises:
        UsageError: they are not options of this method.
    """
    try:
        options = parse_options(spec, values)
        _check_released(spec, options)
        return options_as_json(options)
    except OptionError as error:
        raise UsageError(f"{source}: {error}") from error
    except ValidationError as error:
        raise UsageError(
            f"{source} states options that {spec.name} does not have now: {_first_problem(error)}; "
            "name the method with --method"
        ) from error


def parse_options(spec: MethodSpec, values: Mapping[str, Any]) -> Any:
    """Build the spec's options type from plain values, also those of a stored run."""
    return _adapter(spec.options).validate_python(dict(values))


def options_as_json(options: Any) -> dict[str, Any]:
    """Return options as JSON values, every default written."""
    dumped: dict[str, Any] = _adapter(options.__class__).dump_python(options, mode="json")
    return dumped


def options_of_spec(options: Any) -> dict[str, Any]:
    """Return options as the spec of a training holds them, which its hash is made of.

    An option that was added to a type later, and says so in its field's metadata
    (``added_later``), is left out where it has its default, as :class:`Spec` does with its own
    fields: what was trained before keeps its hash.
    """
    values = options_as_json(options)
    for field in dataclasses.fields(options):
        if field.metadata.get("added_later") and getattr(options, field.name) == field.default:
            del values[field.name]
    return values


def _default_values(
    spec: MethodSpec, size: str, context: CheckContext, published: bool
) -> dict[str, Any]:
    values: dict[str, Any] = dict(spec.defaults)
    if spec.fitted is not None:
        values |= spec.fitted(context)
    values |= spec.sizes.get(size, {})
    if published:
        values |= spec.published
    return values


def _check_released(spec: MethodSpec, options: Any) -> None:
    """Refuse another value than the release's where the authors' release settles an option."""
    for name, value in changed_release(spec, options_as_json(options)).items():
        raise OptionError(
            f"{name}={_as_text(value)} is not part of {spec.label} as released; use "
            f"{spec.extended_by}, the extension of this project"
        )


def changed_release(spec: MethodSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``values`` that the release of a method has otherwise.

    Args:
        spec: the method.
        values: of its options, as JSON; what is not there counts as the release has it.
    """
    if not spec.released:
        return {}
    public = options_as_json(parse_options(spec, spec.defaults))
    found = {}
    for name in spec.released:
        if values.get(name, public[name]) != public[name]:
            found[name] = values[name]
    return found


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"option {where}: {first['msg']}"


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
