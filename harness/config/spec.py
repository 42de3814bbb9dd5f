"""The base class of all schemas: frozen, and an unknown key is an error."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Range = tuple[float, float]
"""Closed interval a parameter is drawn from uniformly; equal ends mean a fixed value."""


class Spec(BaseModel):
    """Base of all schemas: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
