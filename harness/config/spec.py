"""The base class of all schemas: frozen, and an unknown key is an error."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"the range {list(ends)} begins above its end; swap them")
    return ends


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""Closed interval a parameter is drawn from uniformly; equal ends mean a fixed value."""

_NAME = re.compile(r"\w[\w.+-]*")


def _check_label(value: str) -> str:
    if not value.isprintable():
        raise ValueError(f"{value!a} is no label: it has line breaks or control characters")
    return value


Label = Annotated[str, AfterValidator(_check_label)]
"""Text that tables, figures and pages show: one line of what can be printed."""


def within(low: float, high: float) -> AfterValidator:
    """Return what marks a field of type :data:`Range` whose ends lie in [low, high].

    Example::

        sigma_255: Annotated[Range, within(0, 1000)]
    """

    def check(ends: tuple[float, float]) -> tuple[float, float]:
        if ends[0] < low or ends[1] > high:
            raise ValueError(f"the range {list(ends)} must lie between {low:g} and {high:g}")
        return ends

    return AfterValidator(check)


class Spec(BaseModel):
    """Base of all schemas: frozen, and an unknown key is an error.

    Fields that a schema names in ``added_later`` are left out of its JSON where they have their
    default, so that what was stored before they existed keeps its identity.
    """

    added_later: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse yes and no where a number stands, which pydantic reads as 1 and 0."""
        if _holds_truth(value) and _is_numeric(cls, str(info.field_name)):
            raise ValueError("yes and no, true and false are no numbers; write a number")
        return value

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, serialise: SerializerFunctionWrapHandler) -> Any:
        values = serialise(self)
        fields = type(self).model_fields
        for key in self.added_later:
            if values.get(key) == fields[key].default:
                values.pop(key, None)
        return values


def _holds_truth(value: Any) -> bool:
    if isinstance(value, bool):
        return True
    inside: Iterable[Any] = ()
    if isinstance(value, list | tuple):
        inside = value
    elif isinstance(value, dict):
        inside = value.values()
    return any(isinstance(item, bool) for item in inside)


@functools.cache
def _is_numeric(schema: type[Spec], field: str) -> bool:
    """Return whether a field may be a number or hold some, and no truth value."""
    kinds = _kinds(schema.model_fields[field].annotation)
    return bool(kinds & {int, float}) and bool not in kinds


def _kinds(annotation: Any) -> set[Any]:
    """Return the plain types in an annotation."""
    inner = get_args(annotation)
    found: set[Any] = {annotation} if not inner and isinstance(annotation, type) else set()
    for part in inner:
        found |= _kinds(part)
    return found


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"'{value}' is no name: it becomes part of file names, so use letters, digits and . _ "
            "+ - alone, a letter or digit first"
        )
    return value


Name = Annotated[str, AfterValidator(_check_name)]
"""A name that results carry and files are called by; never a path."""
