"""Median and quartiles over turns, and ratios that are taken inside each turn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["slower", "faster", "same"]

LEAST_CHANGE = 0.03
"""Changes of less are none: processes that compute the same differ by as much from one to another.
"""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles.

    Attributes:
        median: of the values.
        low: the lower quartile.
        high: the upper quartile.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return those of at least one value; a single value is its own quartiles."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), low, high)

    def times(self, factor: float) -> Spread:
        """Return median and quartiles of the values times a positive factor."""
        return Spread(factor * self.median, factor * self.low, factor * self.high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def paired(numerator: Sequence[float], denominator: Sequence[float]) -> Spread:
    """Return the spread of the ratios of each turn.

    A shared machine is faster in one minute than in the next, and both sides of a turn alike.
    """
    ratios = [above / below for above, below in zip(numerator, denominator, strict=True)]
    return Spread.of(ratios)


def verdict(old: Spread, new: Spread) -> Verdict:
    """Compare two spreads of relative times.

    The noise of each is between its quartiles. What lies outside the other's is a change, unless
    the medians differ by less than :data:`LEAST_CHANGE`.
    """
    change = new.median / old.median
    if new.low > old.high and change >= 1 + LEAST_CHANGE:
        return "slower"
    if new.high < old.low and change <= 1 / (1 + LEAST_CHANGE):
        return "faster"
    return "same"
