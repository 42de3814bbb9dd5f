"""Average ranks of five and more methods, and which of them Nemenyi's test tells apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.metrics import MetricFacts
from harness.reporting.comparison.rank_tests import LEVEL, critical_difference, friedman_p
from harness.reporting.comparison.values import CommonValues

RanksOver = Literal["columns", "images"]
"""What methods are ranked in: the mean of each column, or each clean image of each column."""

FEWEST_METHODS = 5
"""Methods from which ranks are shown; of fewer, pairs say all."""


@dataclass(frozen=True)
class Ranking:
    """Average ranks in one metric.

    Attributes:
        metric: id of the metric.
        over: what the methods were ranked in.
        blocks: how many of those there are.
        ranks: by method id, the average rank, best first; 1 is best, ties share their mean.
        friedman_p: p of Friedman's test that all methods are alike.
        critical_difference: of Nemenyi's test at 0.05.
        groups: the largest sets of neighbouring methods that are not told apart, best first; all
            methods in one where Friedman's test finds no difference.
    """

    metric: str
    over: RanksOver
    blocks: int
    ranks: dict[str, float]
    friedman_p: float
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]

    @property
    def over_words(self) -> str:
        """What the methods were ranked in, for a reader."""
        return "columns" if self.over == "columns" else "clean images, those of each column apart"


def ranking(common: CommonValues, metric: MetricFacts, over: RanksOver) -> Ranking | None:
    """Return the average ranks of all methods; None where there are fewer than two blocks.

    A block in which a value is NaN is left out; infinite values rank as they are.
    """
    from scipy.stats import rankdata

    values = _blocks(common, metric.id, over)
    values = values[~np.isnan(values).any(axis=1)]
    if len(values) < 2:
        return None
    ranks = rankdata(-values if metric.higher_is_better else values, axis=1)
    averages = ranks.mean(axis=0)
    order = np.argsort(averages, kind="stable")
    by_method = {common.candidates[place].id: float(averages[place]) for place in order}
    p = friedman_p(ranks)
    critical = critical_difference(*ranks.shape)
    names = tuple(by_method)
    groups = _groups(by_method, critical) if p < LEVEL else (names,)
    return Ranking(metric.id, over, len(values), by_method, p, critical, groups)


def _blocks(common: CommonValues, metric: str, over: RanksOver) -> NDArray[np.float64]:
    """Return values (blocks, methods)."""
    values = common.by_metric[metric].mean(axis=1)
    places: dict[tuple[str, str], list[int]] = {}
    for place, (column, clean) in enumerate(common.clean_images):
        name = clean if over == "images" else ""
        places.setdefault((column, name), []).append(place)
    with np.errstate(invalid="ignore"):
        found = np.array([values[:, members].mean(axis=1) for members in places.values()])
    # Archives hold six decimals: what differs by less is a tie.
    return np.round(found, 6)


def _groups(ranks: dict[str, float], critical: float) -> tuple[tuple[str, ...], ...]:
    """Return the largest runs of at least two methods whose ranks are within the difference."""
    names = list(ranks)
    found: list[tuple[str, ...]] = []
    last_end = 0
    for start, name in enumerate(names):
        end = start + 1
        while end < len(names) and ranks[names[end]] - ranks[name] <= critical:
            end += 1
        if end - start > 1 and end > last_end:
            found.append(tuple(names[start:end]))
            last_end = end
    return tuple(found)


def ranking_text(found: Ranking, labels: dict[str, str], metric: str) -> str:
    """Return what a critical-difference diagram shows in sentences."""
    ranks = "; ".join(f"{labels[name]} {rank:.2f}" for name, rank in found.ranks.items())
    over = f"{found.blocks} {found.over_words}"
    text = f"Average rank in {metric} over {over} (1 is best): {ranks}."
    if found.friedman_p >= LEVEL:
        return f"{text} Friedman's test finds no difference (p = {found.friedman_p:.3f})."
    text += (
        f" Friedman's test: p {'<' if found.friedman_p < 0.001 else '='} "
        f"{max(found.friedman_p, 0.001):.3f}. Critical difference {found.critical_difference:.2f} "
        "(Nemenyi, 0.05)."
    )
    if not found.groups:
        return f"{text} All methods are told apart."
    groups = ["; ".join(map(labels.__getitem__, group)) for group in found.groups]
    return f"{text} Not told apart: {' | '.join(groups)}."
