"""The base class of all schemas: frozen, and an unknown key is an error."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
)

Range = tuple[float, float]
"""Closed interval a parameter is drawn from uniformly; equal ends mean a fixed value."""

_NAME = re.compile(r"\w[\w.+-]*")


class Spec(BaseModel):
    """Base of all schemas: frozen, and an unknown key is an error.

    Fields that a schema names in ``added_later`` are left out of its JSON where they have their
    default, so that what was stored before they existed keeps its identity.
    """

    added_later: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, serialise: SerializerFunctionWrapHandler) -> Any:
        values = serialise(self)
        fields = type(self).model_fields
        for key in self.added_later:
            if values.get(key) == fields[key].default:
                values.pop(key, None)
        return values


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"'{value}' is no name: it becomes part of file names, so use letters, digits and . _ "
            "+ - alone, a letter or digit first"
        )
    return value


Name = Annotated[str, AfterValidator(_check_name)]
"""A name that results carry and files are called by; never a path."""
