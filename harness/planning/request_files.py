"""Requests that lie in files, and of which a command line asks for a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.planning.request import split_methods
from harness.registry import id_of


def of_methods(content: Mapping[str, Any], methods: str | Sequence[str]) -> dict[str, Any]:
    """Return the values of a file of whose methods only some are asked for.

    Labels and training values of the file's other methods are left out. What belongs to no method
    of the file stays, so that a misspelt name is still refused.

    Args:
        content: values of a request, by key.
        methods: those that are asked for instead of the file's.
    """
    asked = _ids(methods)
    dropped = _ids(content.get("methods", ())) - asked
    kept = dict(content)
    for key in ("labels", "training"):
        if key in kept:
            kept[key] = {n: value for n, value in kept[key].items() if id_of(n) not in dropped}
    return kept


def _ids(methods: str | Sequence[str]) -> set[str]:
    names = split_methods(methods) if isinstance(methods, str) else methods
    return set(map(id_of, names))
