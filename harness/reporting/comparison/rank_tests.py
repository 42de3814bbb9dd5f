"""Tests: Wilcoxon's signed ranks, permutations of signs, Holm's correction, Friedman and Nemenyi.

Sources: Fisher, The Design of Experiments (1935), section 21; Wilcoxon, Individual Comparisons by
Ranking Methods (1945); Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979);
Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets (2006), sections 3.1.3 and
3.2.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.config.seeding import generator

LEVEL = 0.05

_MOST_TRIED = 13
"""Parts of a sum up to which all choices of signs are tried."""

_DRAWS = 10_000
_BLOCKS = 10
"""In which choices of signs are multiplied: as floats all of them take eight times the memory."""
_ROUNDING = 1e-9

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


def sign_flip_p(parts: NDArray[np.float64]) -> float | None:
    """Return the two-sided p of a permutation test of a sum; None where a part is not finite.

    Without a difference each part of the sum is as likely with the other sign, so p is the share of
    all choices of signs whose sum is as far from zero. Of up to 13 parts all are tried, of more
    10,000 that a fixed generator draws, and the one that was observed.
    """
    if not np.isfinite(parts).all():
        return None
    changed = parts[parts != 0]
    if not len(changed):
        return 1.0
    # A sum of the same parts in another order has other last digits.
    least = abs(changed.sum()) * (1 - _ROUNDING)
    signs = _signs(len(changed))
    far = 0
    for block in np.array_split(signs, _BLOCKS):
        far += int(np.count_nonzero(np.abs(block.astype(np.float64) @ changed) >= least))
    if len(changed) <= _MOST_TRIED:
        return far / len(signs)
    return (1 + far) / (1 + len(signs))


@functools.lru_cache(maxsize=4)
def _signs(count: int) -> NDArray[np.int8]:
    """Return choices of signs (choices, count): all, or of many a fixed sample."""
    if count <= _MOST_TRIED:
        numbers = np.arange(2**count)[:, None]
        ones = (numbers >> np.arange(count)) & 1
    else:
        ones = generator("signs", count).integers(0, 2, (_DRAWS, count))
    return (2 * ones - 1).astype(np.int8)


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
