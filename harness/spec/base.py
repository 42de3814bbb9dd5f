"""The base of all specs, their canonical JSON, and its hash."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict

Range = tuple[float, float]
"""Closed interval a parameter is drawn from uniformly; equal ends mean a fixed value."""


class Spec(BaseModel):
    """Base of all specs: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def canonical_json(spec: Spec) -> str:
    """Return the one JSON text of ``spec``: sorted keys, no spaces, every default written."""
    return json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def spec_hash(spec: Spec) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:16]
