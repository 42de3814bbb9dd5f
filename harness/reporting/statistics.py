"""Differences between two methods on the same images, and how sure they are.

The value of a method is, as in every table, the mean over columns of the mean over images, seeds
alike. Methods are compared image by image and seed by seed, so what an image or a seed costs all
methods alike drops out. The bootstrap resamples what is stated with every interval:

- ``images``: clean images, all their degradations and columns together, since those are not
  independent; what it shows is how far the difference depends on these images;
- ``seeds``: trainings; how far it depends on initial weights and the order of data;
- ``seeds and images``: both at once.

Percentile intervals: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from __future__ import annotations

import math
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

    ``low`` and ``high`` are None where nothing can be resampled: one seed has no spread.
    """

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Paired:
    """Differences on the same images.

    Attributes:
        total: (seeds, clean images, columns), summed over the degradations of an image.
        count: (clean images, columns), the number of those degradations.
        groups: indices of clean images that are in the same columns; the bootstrap draws them
            among each other alone.
    """

    total: NDArray[np.float64]
    count: NDArray[np.float64]
    groups: tuple[NDArray[np.intp], ...]


def natural_spread(seeds: int) -> Spread:
    """Return what an interval can show: of one seed, images alone."""
    return "images" if seeds < 2 else "seeds and images"


def pair(results: Sequence[Result], baseline: Sequence[Result], metric: str) -> Paired | None:
    """Pair results by seed, column and image.

    None unless both have the same and all of them, and every value is finite: a difference of the
    rest would be that of other images.
    """
    values, others = _by_image(results, metric), _by_image(baseline, metric)
    if not values or values.keys() != others.keys():
        return None
    if not all(map(math.isfinite, [*values.values(), *others.values()])):
        return None
    axes = _Axes.of(values)
    seeds, columns, clean_images = axes.seeds, axes.columns, axes.clean_images
    if len(values) != len(seeds) * axes.images:
        return None
    total = np.zeros((len(seeds), len(clean_images), len(columns)))
    count = np.zeros((len(clean_images), len(columns)))
    for (seed, column, image), value in values.items():
        place = clean_images.index(_clean_image(image)), columns.index(column)
        total[(seeds.index(seed), *place)] += value - others[seed, column, image]
        count[place] += 1 / len(seeds)
    kinds = np.unique(count > 0, axis=0, return_inverse=True)[1].ravel()
    groups = tuple(np.flatnonzero(kinds == kind) for kind in np.unique(kinds))
    return Paired(total, count, groups)


def difference(paired: Paired, spread: Spread, draws: int = _DRAWS) -> Difference:
    """Return the mean difference and its 95% interval, drawn with a fixed generator."""
    seeds, images, _ = paired.total.shape
    once_seeds, once_images = np.ones((1, seeds)), np.ones((1, images))
    mean = float(_means(paired, once_seeds, once_images)[0])
    if not _can_be_resampled(paired, spread):
        return Difference(mean, None, None)
    drawn_seeds, drawn_images = once_seeds, once_images
    rng = generator("bootstrap", spread, seeds, images)
    if "seeds" in spread:
        drawn_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws).astype(float)
    if "images" in spread:
        drawn_images = np.zeros((draws, images))
        for group in paired.groups:
            probabilities = np.full(len(group), 1 / len(group))
            drawn_images[:, group] = rng.multinomial(len(group), probabilities, draws)
    means = _means(paired, drawn_seeds, drawn_images)
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Difference(mean, float(low), float(high))


def _can_be_resampled(paired: Paired, spread: Spread) -> bool:
    """Return whether there are several of what the interval is over."""
    if "seeds" in spread and len(paired.total) < 2:
        return False
    return "images" not in spread or any(len(group) > 1 for group in paired.groups)


def _means(
    paired: Paired, seeds: NDArray[np.float64], images: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean difference of each draw, given how often each seed and image was drawn."""
    draws = max(len(seeds), len(images))
    summed = np.einsum(
        "rs,rp,spc->rc",
        np.broadcast_to(seeds, (draws, seeds.shape[1])),
        np.broadcast_to(images, (draws, images.shape[1])),
        paired.total,
        optimize=True,
    )
    counted = (images @ paired.count) * seeds.sum(axis=1, keepdims=True)
    means: NDArray[np.float64] = (summed / counted).mean(axis=1)
    return means


def _by_image(results: Sequence[Result], metric: str) -> Mapping[tuple[int, str, str], float]:
    values = {}
    for result in results:
        if result.metric == metric:
            values[result.seed, result.column, result.image] = result.value
    return values


@dataclass(frozen=True)
class _Axes:
    """What values are paired by: seeds, columns and clean images, and the number of images."""

    seeds: list[int]
    columns: list[str]
    clean_images: list[str]
    images: int

    @classmethod
    def of(cls, values: Mapping[tuple[int, str, str], float]) -> _Axes:
        seeds, clean_images, images = set(), set(), set()
        columns: dict[str, None] = {}
        for seed, column, image in values:
            seeds.add(seed)
            columns[column] = None
            clean_images.add(_clean_image(image))
            images.add((column, image))
        return cls(sorted(seeds), list(columns), sorted(clean_images), len(images))


def _clean_image(image: str) -> str:
    """Return the clean image of a test image; what follows ``#`` numbers its degradations."""
    return image.partition("#")[0]
