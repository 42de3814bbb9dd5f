"""Methods whose values are the same on every image: what differs between them did nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.store.results import Result

REMARK = "on every image: what differs between them made no difference"


def have_same_values(results: Sequence[Result], others: Sequence[Result]) -> bool:
    """Return whether two methods have the same values of the same images, to the last digit."""
    return bool(results) and _values(results) == _values(others)


def earlier_with_same_values(results: Mapping[str, Sequence[Result]]) -> dict[str, str]:
    """Return by method the first one before it that has the same values, where there is one."""
    first: dict[frozenset[tuple[object, ...]], str] = {}
    found = {}
    for method, own in results.items():
        if not own:
            continue
        earlier = first.setdefault(_values(own), method)
        if earlier != method:
            found[method] = earlier
    return found


def _values(results: Sequence[Result]) -> frozenset[tuple[object, ...]]:
    found = []
    for result in results:
        # As text, for NaN is not equal to itself.
        value = repr(result.value)
        found.append((result.seed, result.column, result.image, result.metric, value))
    return frozenset(found)
