"""Best and second of the values of a column."""

from __future__ import annotations

import math
from collections.abc import Mapping


def best_and_second(values: Mapping[str, float], higher_is_better: bool) -> dict[str, int]:
    """Return the rank of the best (1) and the second (2) of several values.

    Equal values share a rank, and two bests leave no second. One value alone has no rank, and a
    value that is not finite has none.
    """
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    if len(finite) < 2:
        return {}
    order = sorted(set(finite.values()), reverse=higher_is_better)
    best_is_shared = list(finite.values()).count(order[0]) > 1
    ranks = {}
    for name, value in finite.items():
        rank = order.index(value) + 1
        if rank == 1 or (rank == 2 and not best_is_shared):
            ranks[name] = rank
    return ranks


def without_worse(
    ranks: Mapping[str, int], values: Mapping[str, float], limit: float, higher_is_better: bool
) -> dict[str, int]:
    """Return the ranks of those values that are not worse than ``limit``.

    A limit that is not finite says nothing, and leaves all of them.
    """
    if not math.isfinite(limit):
        return dict(ranks)
    kept = {}
    for name, rank in ranks.items():
        is_worse = values[name] < limit if higher_is_better else values[name] > limit
        if not is_worse:
            kept[name] = rank
    return kept
