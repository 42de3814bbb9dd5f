"""The base class of all schemas: frozen, and an unknown key is an error."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

Range = tuple[float, float]
"""Closed interval a parameter is drawn from uniformly; equal ends mean a fixed value."""

_NAME = re.compile(r"\w[\w.+-]*")


class Spec(BaseModel):
    """Base of all schemas: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"'{value}' is no name: it becomes part of file names, so use letters, digits and . _ "
            "+ - alone, a letter or digit first"
        )
    return value


Name = Annotated[str, AfterValidator(_check_name)]
"""A name that results carry and files are called by; never a path."""
