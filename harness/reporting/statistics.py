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

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.config.seeding import generator
from harness.store.result_columns import ResultColumns
from harness.store.results import Result

Spread = Literal["images", "seeds", "seeds and images"]

FEWEST = 4
"""Images, or seeds, that an interval is of at least; see :func:`has_enough`."""

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

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval, and zero is outside of it."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def text(self, decimals: int) -> str:
        """Return the difference with its sign, and in brackets its interval if there is one."""
        text = f"{self.mean:+z.{decimals}f}"
        if self.low is None or self.high is None:
            return text
        return f"{text} [{self.low:+z.{decimals}f}, {self.high:+z.{decimals}f}]"


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


def pair(
    results: Sequence[Result],
    baseline: Sequence[Result],
    metric: str,
    clean_images: Mapping[tuple[str, str], str],
) -> Paired | None:
    """Pair results by seed, column and image.

    None unless both have the same and all of them, and every value is finite: a difference of the
    rest would be that of other images.

    Args:
        results: of one method.
        baseline: of the other.
        metric: id of the metric.
        clean_images: by column and name of a test image, what its clean image is called.
    """
    values, others = _by_image(results, metric), _by_image(baseline, metric)
    if not values or values.keys() != others.keys():
        return None
    if not all(map(math.isfinite, [*values.values(), *others.values()])):
        return None
    seeds = sorted({seed for seed, _, _ in values})
    images = list(dict.fromkeys((column, image) for _, column, image in values))
    if len(values) != len(seeds) * len(images):
        return None
    seed_places = dict(zip(seeds, itertools.count()))
    image_places = dict(zip(images, itertools.count()))
    differences = np.empty((len(seeds), len(images)))
    for (seed, column, image), value in values.items():
        place = seed_places[seed], image_places[column, image]
        differences[place] = value - others[seed, column, image]
    return pair_differences(differences, with_clean_names(images, clean_images))


def with_clean_names(
    images: Sequence[tuple[str, str]], clean_images: Mapping[tuple[str, str], str]
) -> list[tuple[str, str]]:
    """Return column and clean image of each image; one that is not named has its own."""
    return [(column, clean_images.get((column, name), name)) for column, name in images]


def pair_differences(differences: NDArray[np.float64], images: Sequence[tuple[str, str]]) -> Paired:
    """Return differences by clean image and column.

    Args:
        differences: (seeds, images), all finite.
        images: column and clean image of each test image.
    """
    columns: dict[str, int] = {}
    for column, _ in images:
        columns.setdefault(column, len(columns))
    clean = sorted({name for _, name in images})
    clean_images = dict(zip(clean, itertools.count()))
    count = np.zeros((len(clean), len(columns)))
    total = np.zeros((len(differences), *count.shape))
    for place, (column, name) in enumerate(images):
        where = clean_images[name], columns[column]
        total[(slice(None), *where)] += differences[:, place]
        count[where] += 1
    kinds = np.unique(count > 0, axis=0, return_inverse=True)[1].ravel()
    groups = tuple(np.flatnonzero(kinds == kind) for kind in np.unique(kinds))
    return Paired(total, count, groups)


def has_enough(paired: Paired, spread: Spread) -> bool:
    """Return whether an interval is more than the range of a few values.

    All draws of three values are the smallest of them in one of 27 samples, which is more than
    the 2.5 % that a 95 % interval leaves at each side: its ends would be the smallest and the
    largest value. Of four they are in one of 256. Every column needs as many clean images; seeds
    that are drawn together with images may be as few as two.
    """
    seeds = len(paired.total)
    if spread == "seeds":
        return seeds >= FEWEST
    if spread == "seeds and images" and seeds < 2:
        return False
    in_columns = np.zeros(paired.count.shape[1])
    for group in paired.groups:
        if len(group) >= FEWEST:
            in_columns += np.count_nonzero(paired.count[group], axis=0)
    return bool(in_columns.min() >= FEWEST)


def difference(paired: Paired, spread: Spread, draws: int = _DRAWS) -> Difference:
    """Return the mean difference and its 95% interval, drawn with a fixed generator."""
    seeds, images, _ = paired.total.shape
    mean = float(_means(paired, np.ones((1, seeds)), np.ones((1, images)))[0])
    if not _can_be_resampled(paired, spread):
        return Difference(mean, None, None)
    members = tuple(tuple(map(int, group)) for group in paired.groups)
    drawn_seeds, drawn_images = _drawn(spread, (seeds, images), members, draws)
    means = _means(paired, drawn_seeds, drawn_images)
    low, high = np.quantile(means, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Difference(mean, float(low), float(high))


@functools.lru_cache(maxsize=2)
def _drawn(
    spread: Spread, sizes: tuple[int, int], groups: tuple[tuple[int, ...], ...], draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how often each draw takes each seed (draws, seeds) and each image (draws, images).

    They depend on the numbers of seeds and images alone, so the metrics of a column share them.
    """
    seeds, images = sizes
    drawn_seeds, drawn_images = np.ones((1, seeds)), np.ones((1, images))
    rng = generator("bootstrap", spread, seeds, images)
    if "seeds" in spread:
        drawn_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws).astype(float)
    if "images" in spread:
        drawn_images = np.zeros((draws, images))
        for group in groups:
            probabilities = np.full(len(group), 1 / len(group))
            drawn_images[:, list(group)] = rng.multinomial(len(group), probabilities, draws)
    return drawn_seeds, drawn_images


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
    columns = ResultColumns.of(results)
    own = columns.select(columns.are("metric", metric.__eq__))
    keys = zip(own.seeds.tolist(), own.texts("column"), own.texts("image"), strict=True)
    return dict(zip(keys, own.values.tolist(), strict=True))
