"""Names and versions under which methods were stored before version 0.2 was released.

``cpl`` and ``spm`` meant then what ``cpl-guided`` and ``spm-guided`` mean now, alone and added to
another network, and ``cpr`` had a lower version. The numbers of the same options are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.config.run_specs import TrainSpec

_FORMER_NAMES = {"cpl-guided": "cpl", "spm-guided": "spm"}
_FORMER_VERSIONS = {"cpr": (3, 2)}
"""By a method's name, its present version and the one before."""

_NEWEST_FORMER_VERSION = 2


def former_spec(spec: TrainSpec) -> TrainSpec | None:
    """Return ``spec`` under its former name and version, None where both are the present ones."""
    host, plus, name = spec.method.rpartition("+")
    if name in _FORMER_NAMES:
        return spec.model_copy(update={"method": host + plus + _FORMER_NAMES[name]})
    version, before = _FORMER_VERSIONS.get(name, (0, 0))
    if spec.method_version == version:
        return spec.model_copy(update={"method_version": before})
    return None


def may_be_former(method_id: str) -> bool:
    """Return whether a stored id may be one that means another method now."""
    return _split(method_id)[1] in _FORMER_NAMES.values()


def present_id(method_id: str, spec: Mapping[str, Any]) -> str:
    """Return the present id of a stored method.

    Args:
        method_id: as it was stored, with additions and options.
        spec: the training spec that was stored with it, as JSON.
    """
    if int(spec.get("method_version", 0)) > _NEWEST_FORMER_VERSION or not _is_guided(spec):
        return method_id
    host, last, rest = _split(method_id)
    for present, former in _FORMER_NAMES.items():
        if last == former:
            return host + present + rest
    return method_id


def _split(method_id: str) -> tuple[str, str, str]:
    """Return the host of a method's id with its plus, the last name, and what follows the name."""
    name, rest = method_id, ""
    for mark in "@:":
        name, found, after = name.partition(mark)
        rest = found + after + rest
    host, plus, last = name.rpartition("+")
    return host + plus, last, rest


def _is_guided(spec: Mapping[str, Any]) -> bool:
    """Return whether a spec of ``cpl`` or ``spm`` has a part that the authors' release has not."""
    options = spec.get("options", {})
    return bool(options.get("shared_router") or options.get("teacher_weight"))
