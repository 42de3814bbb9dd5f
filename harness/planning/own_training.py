"""Training values that hold for one method instead of the recipe's, as a search finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from harness.config.errors import UsageError, did_you_mean
from harness.config.parsing import parse
from harness.config.recipes import Optimisation


def with_values(train: Optimisation, values: Mapping[str, JsonValue], method: str) -> Optimisation:
    """Return a recipe's training with other values.

    Raises:
        UsageError: an unknown key, or values that contradict each other; ``method`` is named.
    """
    if not values:
        return train
    where = f"training of {method}"
    changed = parse(Optimisation, {**train.model_dump(mode="json"), **values}, where)
    problem = changed.schedule_problem()
    if problem is not None:
        raise UsageError(f"{where}: {problem}")
    return changed


def changed_values(train: Optimisation, other: Optimisation) -> dict[str, JsonValue]:
    """Return the values of ``other`` that differ from those of ``train``."""
    before, after = train.model_dump(mode="json"), other.model_dump(mode="json")
    changed: dict[str, JsonValue] = {}
    for name, value in after.items():
        if before.get(name, Optimisation.model_fields[name].default) != value:
            changed[name] = value
    return changed


def check_names(named: Iterable[str], methods: Iterable[str]) -> None:
    """Refuse training values of a method that is not asked for.

    Raises:
        UsageError: names it, and the nearest method.
    """
    known = list(methods)
    for name in named:
        if name not in known:
            raise UsageError(
                f"'training' names method '{name}', which is not among 'methods'; "
                f"{did_you_mean(name, known)}"
            )
