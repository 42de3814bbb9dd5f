"""Tests on ranks: Wilcoxon's signed ranks, Holm's correction, Friedman and Nemenyi.

Sources: Wilcoxon, Individual Comparisons by Ranking Methods (1945); Holm, A Simple Sequentially
Rejective Multiple Test Procedure (1979); Demšar, Statistical Comparisons of Classifiers over
Multiple Data Sets (2006), sections 3.1.3 and 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05

_MOST_EXACT = 50
"""Differences up to which the distribution of the signed ranks is computed and not approximated."""


def signed_rank_p(differences: NDArray[np.float64]) -> float | None:
    """Return the two-sided p of Wilcoxon's signed rank test; None where a difference is NaN.

    Differences of zero are left out, as Wilcoxon does; equal ones share their mean rank. Up to 50
    differences p is exact, given the ranks, ties included; beyond them the normal approximation.
    Infinite differences have the largest ranks.
    """
    from scipy.stats import rankdata

    if np.isnan(differences).any():
        return None
    changed = differences[differences != 0]
    if not len(changed):
        return 1.0
    ranks = rankdata(np.abs(changed))
    positive = float(ranks[changed > 0].sum())
    if len(changed) > _MOST_EXACT:
        z = (positive - ranks.sum() / 2) / math.sqrt(float(np.square(ranks).sum()) / 4)
        return math.erfc(abs(z) / math.sqrt(2))
    # Mean ranks are halves at least, so twice the ranks are whole numbers.
    doubled = np.rint(2 * ranks).astype(int)
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for rank in doubled:
        moved = np.concatenate([np.zeros(rank), chances[:-rank]])
        chances = (chances + moved) / 2
    place = round(2 * positive)
    tail = min(chances[: place + 1].sum(), chances[place:].sum())
    return float(min(1.0, 2 * tail))


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number.

    Where no method differs from another, any of them is below 0.05 in at most 5 % of tables.
    """
    corrected = [1.0] * len(values)
    highest = 0.0
    for done, place in enumerate(np.argsort(values, kind="stable")):
        highest = max(highest, min(1.0, values[place] * (len(values) - done)))
        corrected[place] = highest
    return corrected


def friedman_p(ranks: NDArray[np.float64]) -> float:
    """Return p of Friedman's test, corrected for ties, of ranks (blocks, methods)."""
    from scipy.stats import chi2

    blocks, methods = ranks.shape
    middle = (methods + 1) / 2
    within = float(np.square(ranks - middle).sum())
    if within == 0:
        return 1.0
    between = float(np.square(ranks.sum(axis=0) - blocks * middle).sum())
    return float(chi2.sf((methods - 1) * between / within, methods - 1))


def critical_difference(blocks: int, methods: int) -> float:
    """Return how far two average ranks are apart at least where Nemenyi's test tells them apart."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - LEVEL, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * blocks))
