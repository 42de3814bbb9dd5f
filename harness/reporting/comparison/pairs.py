"""Two methods on the same images: mean difference, interval, wins, and a test of signs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.metrics import MetricFacts
from harness.published.tables import AVERAGE
from harness.reporting.comparison.rank_tests import holm, sign_flip_p, signed_rank_p
from harness.reporting.comparison.values import Candidate, CommonValues, Image
from harness.reporting.statistics import (
    Difference,
    Spread,
    difference,
    has_enough,
    pair_differences,
)

_TIE = 1e-6
"""Values that differ by less are a tie: archives hold six decimals."""


@dataclass(frozen=True)
class PairedColumn:
    """Two methods in one column, or in the mean over columns, and one metric.

    Attributes:
        first: id of the method whose values are diminished by the other's.
        second: id of the other.
        column: name of the column, or ``average``.
        metric: id of the metric.
        means: of both, over images and seeds.
        delta: first minus second with its interval, whose ends are None where there are too few
            images or seeds; None where a value is not finite, for a mean of the rest would be that
            of other images.
        win_rate: share of the images on which the first is better, ties as halves; None where a
            value is NaN.
        p: over clean images, of the signed rank test, and of the average of a permutation test,
            before Holm's correction.
        p_holm: after it, over the pairs of the average, or those of all columns, in this metric.
        images: test images.
        clean_images: clean images; fewer than images where one has several degradations.
    """

    first: str
    second: str
    column: str
    metric: str
    means: tuple[float, float]
    delta: Difference | None
    win_rate: float | None
    p: float | None
    p_holm: float | None
    images: int
    clean_images: int


@dataclass(frozen=True)
class Extreme:
    """One image on which the first method gains or loses much; values are means over seeds.

    Attributes:
        first: id of the method.
        second: id of the other.
        metric: id of the metric.
        column: name of the column.
        image: name of the image.
        values: of both.
        difference: first minus second.
    """

    first: str
    second: str
    metric: str
    column: str
    image: str
    values: tuple[float, float]
    difference: float


def paired_columns(
    common: CommonValues, spread: Spread, pairs: Sequence[tuple[int, int]]
) -> list[PairedColumn]:
    """Return pairs of methods by metric, pair and column, the mean over columns last.

    Args:
        common: the values of the methods.
        spread: what intervals are over.
        pairs: the places of both methods of each pair, as :func:`pairs_of` has them all.
    """
    metrics, columns = common.request.metrics, _columns(common)
    tests: dict[tuple[str, tuple[int, int], str], PairedColumn] = {}
    # What the bootstrap draws is kept for one column after the other.
    for column in columns:
        for metric in metrics:
            for pair in pairs:
                test = _paired_column(common, pair, column, metric, spread)
                tests[metric.id, pair, column] = test
    found: list[PairedColumn] = []
    for metric in metrics:
        keys = itertools.product([metric.id], pairs, columns)
        found += _corrected(list(map(tests.__getitem__, keys)))
    return found


def pairs_of(common: CommonValues) -> list[tuple[int, int]]:
    """Return the places of both methods of every pair."""
    return list(itertools.combinations(range(len(common.candidates)), 2))


def told_pairs(common: CommonValues, most: int) -> list[tuple[int, int]]:
    """Return the pairs that are shown image by image; of more methods, those with the first."""
    others = len(common.candidates) - 1
    # The pairs of the first method come first.
    return pairs_of(common) if others < most else pairs_of(common)[:others]


def extremes(
    common: CommonValues, pair: tuple[int, int], metric: MetricFacts, most: int
) -> list[Extreme]:
    """Return the ``most`` largest gains, largest first, then the largest losses, largest last.

    Images on which both are equal or a value is NaN are neither.
    """
    first, second = _over_seeds(common, pair, metric.id)
    apart = _subtracted(first, second)
    better = apart if metric.higher_is_better else -apart
    order = np.argsort(-better, kind="stable")
    gains, losses = order[better[order] > 0][:most], order[better[order] < 0]
    found = []
    for place in [*gains, *losses[len(losses) - min(most, len(losses)) :]]:
        column, image = common.images[place]
        found.append(
            Extreme(
                *_ids(common, pair),
                metric=metric.id,
                column=column,
                image=image,
                values=(float(first[place]), float(second[place])),
                difference=float(apart[place]),
            )
        )
    return found


def has_interval(test: PairedColumn) -> bool:
    """Return whether a difference has an interval."""
    return test.delta is not None and test.delta.low is not None


def _columns(common: CommonValues) -> list[str]:
    """Return the columns that are there, with the average where it is one."""
    return [*common.columns, AVERAGE] if common.is_whole else common.columns


def _ids(common: CommonValues, pair: tuple[int, int]) -> tuple[str, str]:
    candidates: Sequence[Candidate] = common.candidates
    return candidates[pair[0]].id, candidates[pair[1]].id


def _over_seeds(
    common: CommonValues, pair: tuple[int, int], metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean over seeds of both methods (images)."""
    values = common.by_metric[metric].mean(axis=1)
    return values[pair[0]], values[pair[1]]


def _subtracted(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return differences; ties are zero, as two infinities of perfect restorations are."""
    with np.errstate(invalid="ignore"):
        found = values - others
    found[(values == others) | (np.abs(found) <= _TIE)] = 0.0
    return found


def _paired_column(
    common: CommonValues,
    pair: tuple[int, int],
    column: str,
    metric: MetricFacts,
    spread: Spread,
) -> PairedColumn:
    is_average = column == AVERAGE
    places = list(range(len(common.images))) if is_average else common.places[column]
    images = list(map(common.clean_images.__getitem__, places))
    values = common.by_metric[metric.id][:, :, places]
    first, second = values[pair[0]], values[pair[1]]
    apart = _subtracted(first.mean(axis=0), second.mean(axis=0))
    better = apart if metric.higher_is_better else -apart
    by_clean_image = _by_clean_image(apart, images)
    return PairedColumn(
        *_ids(common, pair),
        column=column,
        metric=metric.id,
        means=(_mean(first, images), _mean(second, images)),
        delta=_delta(first, second, images, spread),
        win_rate=_win_rate(better, images),
        p=sign_flip_p(parts_of_average(apart, images))
        if is_average
        else signed_rank_p(by_clean_image),
        p_holm=None,
        images=len(images),
        clean_images=len(by_clean_image),
    )


def _by_column(images: Sequence[Image]) -> Iterator[tuple[str, list[int]]]:
    """Return each column with the places of its images."""
    places: dict[str, list[int]] = {}
    for place, (column, _) in enumerate(images):
        places.setdefault(column, []).append(place)
    yield from places.items()


def _mean(values: NDArray[np.float64], images: Sequence[Image]) -> float:
    """Return the mean over columns of the mean over images and seeds of values (seeds, images)."""
    means = [values[:, places].mean() for _, places in _by_column(images)]
    with np.errstate(invalid="ignore"):
        return float(np.mean(means))


def _delta(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    images: Sequence[Image],
    spread: Spread,
) -> Difference | None:
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return None
    paired = pair_differences(first - second, images)
    found = difference(paired, spread)
    return found if has_enough(paired, spread) else replace(found, low=None, high=None)


def _win_rate(better: NDArray[np.float64], images: Sequence[Image]) -> float | None:
    """Return the mean over columns of the share of wins, ties as halves."""
    if np.isnan(better).any():
        return None
    wins = (np.sign(better) + 1) / 2
    return float(np.mean([wins[places].mean() for _, places in _by_column(images)]))


def _by_clean_image(apart: NDArray[np.float64], images: Sequence[Image]) -> NDArray[np.float64]:
    """Return one difference per clean image of a column: the mean over its degradations.

    Degradations of one clean image are not independent, which the test takes its values to be.
    """
    values: dict[str, list[float]] = {}
    for place, (_, clean) in enumerate(images):
        values.setdefault(clean, []).append(float(apart[place]))
    with np.errstate(invalid="ignore"):
        return np.array([np.mean(of_clean) for of_clean in values.values()])


def parts_of_average(apart: NDArray[np.float64], images: Sequence[Image]) -> NDArray[np.float64]:
    """Return what each clean image adds to the mean over columns; together they are that mean.

    A column of few images weighs as much as one of many, so each of its images weighs more.
    """
    parts: dict[str, float] = {}
    by_column = list(_by_column(images))
    for _, places in by_column:
        for place in places:
            clean = images[place][1]
            part = float(apart[place]) / (len(places) * len(by_column))
            parts[clean] = parts.get(clean, 0.0) + part
    return np.array(list(parts.values()))


def _corrected(tests: Sequence[PairedColumn]) -> list[PairedColumn]:
    """Return tests with Holm's correction: over those of averages, and over those of columns."""
    found = list(tests)
    for is_average in (True, False):
        places = []
        for place, test in enumerate(tests):
            if test.p is not None and (test.column == AVERAGE) is is_average:
                places.append(place)
        corrected = holm([tests[place].p or 0.0 for place in places])
        for place, p_holm in zip(places, corrected, strict=True):
            found[place] = replace(tests[place], p_holm=p_holm)
    return found
