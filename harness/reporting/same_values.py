"""Methods whose values are the same on every image: what differs between them did nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from harness.store.result_columns import ResultColumns
from harness.store.results import Result

REMARK = "on every image: what differs between them made no difference"


def have_same_values(results: Sequence[Result], others: Sequence[Result]) -> bool:
    """Return whether two methods have the same values of the same images, to the last digit."""
    if not results or _different_values(results) != _different_values(others):
        return False
    return _values(results) == _values(others)


def earlier_with_same_values(results: Mapping[str, Sequence[Result]]) -> dict[str, str]:
    """Return by method the first one before it that has the same values, where there is one."""
    alike: dict[bytes, list[str]] = {}
    found = {}
    for method, own in results.items():
        if not own:
            continue
        # Few methods have the same values, and only of those are images compared.
        earlier = alike.setdefault(_different_values(own), [])
        for other in earlier:
            if _values(own) == _values(results[other]):
                found[method] = other
                break
        else:
            earlier.append(method)
    return found


def _different_values(results: Sequence[Result]) -> bytes:
    """Return a digest of the different values that stand among results, bit by bit."""
    values = ResultColumns.of(results).values
    same_nan = np.where(np.isnan(values), np.nan, values)
    ordered = np.sort(same_nan.view(np.int64))
    # np.unique does the same, but imports numpy.ma for it.
    is_first = np.ones(len(ordered), dtype=bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return hashlib.sha256(ordered[is_first].tobytes()).digest()


def _values(results: Sequence[Result]) -> frozenset[tuple[object, ...]]:
    columns = ResultColumns.of(results)
    names = [columns.texts(field) for field in ("column", "image", "metric")]
    # As text, for NaN is not equal to itself.
    values = map(repr, columns.values.tolist())
    return frozenset(zip(columns.seeds.tolist(), *names, values, strict=True))
