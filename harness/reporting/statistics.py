"""Differences between two methods on the same images, and how sure they are.

The value of a method is, as in every table, the mean over columns of the mean over images, seeds
alike. Methods are compared image by image and seed by seed, so what an image or a seed costs all
methods alike drops out. What is drawn again by the bootstrap is stated with every interval:

- ``images``: photographs, all their degradations and columns together, since those are not
  independent; what it shows is how far the difference depends on these photographs;
- ``seeds``: trainings; how far it depends on initial weights and the order of data;
- ``seeds and images``: both at once.

Percentile intervals: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.config.seeding import generator
from harness.store.results import Result

Spread = Literal["images", "seeds", "seeds and images"]

_DRAWS = 10_000
_LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """A mean difference with its interval, in the metric's unit.

    ``low`` and ``high`` are None where nothing can be drawn again: one seed has no spread.
    """

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Paired:
    """Differences on the same images: ``total`` (seeds, photographs, columns), summed over images.

    ``count`` (photographs, columns) says over how many. ``groups`` lists photographs that stand in
    the same columns: only among each other can they be drawn in each other's place.
    """

    total: NDArray[np.float64]
    count: NDArray[np.float64]
    groups: tuple[NDArray[np.intp], ...]


def natural_spread(seeds: int) -> Spread:
    """Return what an interval can show: of one seed, images alone."""
    return "images" if seeds < 2 else "seeds and images"


def pair(rows: Sequence[Result], against: Sequence[Result], metric: str) -> Paired | None:
    """Pair rows by seed, column and image; None unless both have the same and all of them."""
    values, others = (_by_image(of, metric) for of in (rows, against))
    if not values or values.keys() != others.keys():
        return None
    seeds = sorted({seed for seed, _, _ in values})
    columns = list(dict.fromkeys(column for _, column, _ in values))
    photographs = sorted({_photograph(image) for _, _, image in values})
    if len(values) != len(seeds) * len({(column, image) for _, column, image in values}):
        return None
    total = np.zeros((len(seeds), len(photographs), len(columns)))
    count = np.zeros((len(photographs), len(columns)))
    for (seed, column, image), value in values.items():
        at = photographs.index(_photograph(image)), columns.index(column)
        total[(seeds.index(seed), *at)] += value - others[seed, column, image]
        count[at] += 1 / len(seeds)
    kinds = np.unique(count > 0, axis=0, return_inverse=True)[1].ravel()
    groups = tuple(np.flatnonzero(kinds == kind) for kind in np.unique(kinds))
    return Paired(total, count, groups)


def difference(paired: Paired, spread: Spread, draws: int = _DRAWS) -> Difference:
    """Return the mean difference and its 95% interval, drawn with a fixed generator."""
    seeds, photographs, _ = paired.total.shape
    once = np.ones((1, seeds)), np.ones((1, photographs))
    mean = float(_means(paired, *once)[0])
    drawn_seeds, drawn_photographs = once
    rng = generator("bootstrap", spread, seeds, photographs)
    if "seeds" in spread:
        drawn_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws).astype(float)
    if "images" in spread:
        drawn_photographs = np.zeros((draws, photographs))
        for group in paired.groups:
            chances = np.full(len(group), 1 / len(group))
            drawn_photographs[:, group] = rng.multinomial(len(group), chances, draws)
    possible = ("seeds" not in spread or seeds > 1) and (
        "images" not in spread or any(len(group) > 1 for group in paired.groups)
    )
    if not possible:
        return Difference(mean, None, None)
    means = _means(paired, drawn_seeds, drawn_photographs)
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Difference(mean, float(low), float(high))


def _means(
    paired: Paired, seeds: NDArray[np.float64], photographs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean difference of each draw, given how often each seed and photograph came."""
    draws = max(len(seeds), len(photographs))
    summed = np.einsum(
        "rs,rp,spc->rc",
        np.broadcast_to(seeds, (draws, seeds.shape[1])),
        np.broadcast_to(photographs, (draws, photographs.shape[1])),
        paired.total,
        optimize=True,
    )
    images = (photographs @ paired.count) * seeds.sum(axis=1, keepdims=True)
    means: NDArray[np.float64] = (summed / images).mean(axis=1)
    return means


def _by_image(rows: Sequence[Result], metric: str) -> Mapping[tuple[int, str, str], float]:
    return {(r.seed, r.column, r.image): r.value for r in rows if r.metric == metric}


def _photograph(image: str) -> str:
    """Return the photograph of an image; what follows ``#`` numbers its degradations."""
    return image.partition("#")[0]
