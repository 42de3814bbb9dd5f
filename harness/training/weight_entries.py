"""Where in a file the weights are: the one rule that holds for every reader.

Of several sets of weights in a file the first of ``ENTRIES`` is read, so ``params`` before
``params_ema``, unless another is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from harness.config.errors import HarnessError, UsageError, did_you_mean

ENTRIES = (
    *("state_dict", "params", "params_ema", "model_state_dict", "model", "net"),
    *("network", "generator", "module", "weights"),
)
"""Where training frameworks put weights, in the order in which they are looked for.

Lightning: ``state_dict``; BasicSR: ``params``, and ``params_ema`` for averaged ones; DeepSpeed:
``module``.
"""

_NO_WEIGHTS = ("optim", "ema_optim", "scheduler", "lr_scheduler")
"""Starts of names under which trainings keep tensors that are no weights."""

_MOST_NAMES = 8
_DEEPEST = 4


def find_weights(
    path: Path, content: Mapping[Any, Any], entry: str | None
) -> tuple[str, Mapping[Any, Any]]:
    """Return the entry that holds the weights, and the dictionary there.

    Args:
        path: the file, for messages.
        content: what it holds.
        entry: the entry that was asked for; None looks for ``ENTRIES``.

    Raises:
        UsageError: there is no such entry, or it holds no weights.
        HarnessError: the file holds no weights, or several sets and none under a usual name.
    """
    if entry is not None:
        return _named_entry(path, content, entry)
    found = _search(content, "", _DEEPEST)
    if found is not None:
        return found
    names = _dictionaries(content, "", _DEEPEST) or [str(key) for key in content]
    raise HarnessError(
        f"checkpoint {path} holds no weights under {', '.join(ENTRIES)}; it has: "
        f"{', '.join(names[:_MOST_NAMES])}; name the right one with --entry"
    )


def _named_entry(
    path: Path, content: Mapping[Any, Any], entry: str
) -> tuple[str, Mapping[Any, Any]]:
    """Return the dictionary that ``entry`` names, with dots for dictionaries in dictionaries."""
    found: Any = content
    parts = [entry] if entry in content else entry.split(".")
    for part in parts:
        if not isinstance(found, Mapping) or part not in found:
            names = [str(key) for key in content]
            known = _dictionaries(content, "", _DEEPEST) or names
            raise UsageError(
                f"checkpoint {path} has no entry '{entry}'; {did_you_mean(entry, known)}"
            )
        found = found[part]
    if isinstance(found, Mapping):
        if _has_tensors(found):
            return entry, found
        inner = _search(found, f"{entry}.", _DEEPEST)
        if inner is not None:
            return inner
    raise UsageError(
        f"entry '{entry}' of checkpoint {path} holds no weights; leave --entry out, or name one "
        "that does"
    )


def _search(
    content: Mapping[Any, Any], where: str, depth: int
) -> tuple[str, Mapping[Any, Any]] | None:
    """Find weights: under the usual names, in the dictionary itself, or in its only other one."""
    children = _children(content) if depth else {}
    for name in ENTRIES:
        if name in children:
            found = _search(children[name], f"{where}{name}.", depth - 1)
            if found is not None:
                return found
    if _has_tensors(content):
        return where.removesuffix("."), content
    held = []
    for name, child in children.items():
        found = _search(child, f"{where}{name}.", depth - 1)
        if found is not None:
            held.append(found)
    return held[0] if len(held) == 1 else None


def _children(content: Mapping[Any, Any]) -> dict[str, Mapping[Any, Any]]:
    """Return the dictionaries in a dictionary that may hold weights."""
    found: dict[str, Mapping[Any, Any]] = {}
    for key, value in content.items():
        is_dictionary = isinstance(key, str) and isinstance(value, Mapping)
        if is_dictionary and not key.lower().startswith(_NO_WEIGHTS):
            found[key] = value
    return found


def _dictionaries(content: Mapping[Any, Any], where: str, depth: int) -> list[str]:
    """Return the names of all dictionaries that hold tensors, with dots."""
    found = []
    for name, child in _children(content).items():
        if _has_tensors(child):
            found.append(f"{where}{name}")
        if depth:
            found += _dictionaries(child, f"{where}{name}.", depth - 1)
    return found


def other_weights(
    content: Mapping[Any, Any], entry: str, weights: Mapping[Any, Any]
) -> tuple[str, ...]:
    """Return the names of other dictionaries whose tensors have names of ``weights``."""
    found = []
    for name in _dictionaries(content, "", _DEEPEST):
        level: Any = content
        for part in [name] if name in content else name.split("."):
            level = level.get(part, {}) if isinstance(level, Mapping) else {}
        if name != entry and not weights.keys().isdisjoint(level):
            found.append(name)
    return tuple(found)


def _has_tensors(content: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, Tensor) for value in content.values())
