"""Means of many results: over the images of each seed, then over columns.

Without pandas, whose import takes longer than the rest of a command that shows stored results. Sums
are compensated as those of its groups are, so that means have the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError
from harness.store.result_columns import ResultColumns

_NAMED = ("method", "column", "image", "metric")
"""What a value is of, beside its seed; a result that has the same of all is the same value, or a
contradiction."""

_Key = tuple[str, str, str]
"""Id of a method, name of a column, id of a metric."""


def results_of_images(results: ResultColumns, images: Mapping[str, Sequence[str]]) -> ResultColumns:
    """Return the results of those images, by column, that are shown."""
    columns, named = results.column("column"), results.column("image")
    shown = np.zeros((len(columns.names), len(named.names)), dtype=np.bool_)
    for place, column in enumerate(columns.names):
        if column in images:
            wanted = set(images[column])
            shown[place] = [image in wanted for image in named.names]
    return results.select(shown[columns.codes, named.codes])


@dataclass(frozen=True)
class Frame:
    """Results by column, each value once.

    Attributes:
        seeds: (rows).
        values: (rows), in the unit of the metric.
        codes: by field, (rows), places in its names.
        names: by field, the different ones, sorted.
    """

    seeds: NDArray[np.int64]
    values: NDArray[np.float64]
    codes: Mapping[str, NDArray[np.signedinteger[Any]]]
    names: Mapping[str, Sequence[str]]

    @property
    def empty(self) -> bool:
        """Whether there are no rows."""
        return not len(self.values)

    def texts(self, field: str) -> list[str]:
        """Return the text of a field, row by row."""
        return list(map(self.names[field].__getitem__, self.codes[field].tolist()))

    def keys(self, rows: NDArray[np.intp]) -> list[_Key]:
        """Return method, column and metric of some rows."""
        part = self.at(rows)
        return list(zip(*map(part.texts, ("method", "column", "metric")), strict=True))

    def at(self, rows: NDArray[np.intp]) -> Frame:
        """Return some of the rows."""
        codes = {field: column[rows] for field, column in self.codes.items()}
        return Frame(self.seeds[rows], self.values[rows], codes, self.names)


def frame_of(results: ResultColumns) -> Frame:
    """Return results as a frame of their identity and value.

    A result that stands twice with the same value is taken once.

    Raises:
        HarnessError: one image has two different values.
    """
    codes: dict[str, NDArray[np.signedinteger[Any]]] = {}
    names: dict[str, Sequence[str]] = {}
    for field in _NAMED:
        column = results.column(field)
        order = np.argsort(np.array(column.names, dtype=object), kind="stable")
        places = np.empty(len(order), dtype=column.codes.dtype)
        places[order] = np.arange(len(order))
        codes[field] = places[column.codes]
        names[field] = [column.names[place] for place in order]
    frame = Frame(results.seeds, results.values, codes, names)
    return _without_repeats(frame) if _may_repeat(frame) else frame


def _may_repeat(frame: Frame) -> bool:
    """Return whether two rows are of the same value, or whether numbers are too large to tell."""
    seeds, codes = np.unique(frame.seeds, return_inverse=True)
    identity: NDArray[np.int64] = codes.astype(np.int64)
    different = len(seeds)
    for field in _NAMED:
        different *= max(1, len(frame.names[field]))
        if different >= 2**63:
            return True
        identity = identity * len(frame.names[field]) + frame.codes[field]
    identity.sort()
    return bool((identity[1:] == identity[:-1]).any())


def _without_repeats(frame: Frame) -> Frame:
    """Return a frame whose equal rows stand once; refuse two values of one image."""
    identities = zip(frame.seeds.tolist(), *map(frame.texts, _NAMED), strict=True)
    known: dict[tuple[Any, ...], float] = {}
    first: list[int] = []
    for place, (identity, value) in enumerate(zip(identities, frame.values.tolist(), strict=True)):
        if identity not in known:
            known[identity] = value
            first.append(place)
        elif known[identity] != value and not math.isnan(value + known[identity]):
            seed, method, column, image, metric = identity
            raise HarnessError(
                f"{method} seed {seed} has two values of {metric} on {image} of column {column}; "
                "results of two trainings are mixed, so use an output folder of one"
            )
    return frame.at(np.array(first, dtype=np.intp))


@dataclass(frozen=True)
class SeedMeans:
    """Means over images by method, column, metric and seed.

    Attributes:
        frame: the results.
        means: by method, column and metric: means over images, seeds in order.
        counts: by the same: results.
        averages: by method and metric: means over columns of those means, seeds in order.
        not_finite: methods, columns and metrics with a value that is not finite; their means are
            not to be used.
    """

    frame: Frame
    means: Mapping[_Key, NDArray[np.float64]]
    counts: Mapping[_Key, int]
    averages: Mapping[tuple[str, str], NDArray[np.float64]]
    not_finite: frozenset[_Key]

    @classmethod
    def of(cls, frame: Frame) -> SeedMeans:
        """Return the means of a frame that :func:`frame_of` made."""
        starts, values = _grouped(frame)
        by_key: dict[_Key, list[float]] = {}
        counts: dict[_Key, int] = {}
        of_columns: dict[tuple[str, str, int], list[float]] = {}
        heads, ends = frame.at(starts.rows), [*starts.places[1:], len(values)]
        keys = heads.keys(np.arange(len(starts.rows)))
        for key, seed, start, end in zip(
            keys, heads.seeds.tolist(), starts.places, ends, strict=True
        ):
            mean = _mean(values[start:end])
            by_key.setdefault(key, []).append(mean)
            counts[key] = counts.get(key, 0) + end - start
            of_columns.setdefault((key[0], key[2], seed), []).append(mean)
        averages: dict[tuple[str, str], list[float]] = {}
        for (method, metric, _), means in of_columns.items():
            averages.setdefault((method, metric), []).append(_mean(means))
        strange = np.flatnonzero(~np.isfinite(frame.values))
        return cls(
            frame=frame,
            means={key: np.array(means) for key, means in by_key.items()},
            counts=counts,
            averages={pair: np.array(means) for pair, means in averages.items()},
            not_finite=frozenset(frame.keys(strange)),
        )

    def scored(self, key: _Key) -> int:
        """Return how many results there are of method, column and metric."""
        return self.counts.get(key, 0)

    def has_not_finite(self, key: _Key) -> bool:
        """Return whether any of them is not finite."""
        return key in self.not_finite

    def of_seeds(self, key: _Key) -> NDArray[np.float64]:
        """Return the mean over images of each seed."""
        return self.means[key]

    def of_averages(self, method: str, metric: str) -> NDArray[np.float64]:
        """Return the mean over columns of each seed."""
        return self.averages[method, metric]

    def rows_of(self, key: _Key) -> list[tuple[int, str, float]]:
        """Return seed, image and value of the results of method, column and metric."""
        is_own = np.ones(len(self.frame.values), dtype=np.bool_)
        for field, name in zip(("method", "column", "metric"), key, strict=True):
            is_own &= self.frame.codes[field] == self.frame.names[field].index(name)
        own = self.frame.at(np.flatnonzero(is_own))
        return list(zip(own.seeds.tolist(), own.texts("image"), own.values.tolist(), strict=True))


@dataclass(frozen=True)
class _Starts:
    """The first row of each group, and its place among the values in the order of groups."""

    rows: NDArray[np.intp]
    places: list[int]


def _grouped(frame: Frame) -> tuple[_Starts, list[float]]:
    """Return the values by method, metric, seed and column, and where each group begins."""
    codes = frame.codes
    keys = (codes["column"], frame.seeds, codes["metric"], codes["method"])
    order = np.lexsort(keys)
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = False
    for key in keys:
        ordered = key[order]
        begins[1:] |= ordered[1:] != ordered[:-1]
    places = np.flatnonzero(begins)
    return _Starts(order[places], places.tolist()), frame.values[order].tolist()


def _mean(values: Sequence[float]) -> float:
    """Return the mean, by Kahan's compensated sum (Communications of the ACM 8(1), 1965)."""
    total = lost = 0.0
    for value in values:
        wanted = value - lost
        rounded = total + wanted
        lost = (rounded - total) - wanted
        total = rounded
    return total / len(values)


def mean_of(values: NDArray[np.float64]) -> float:
    """Return a mean over seeds."""
    return float(values.sum() / len(values))


def spread_of(values: NDArray[np.float64]) -> float | None:
    """Return the sample standard deviation over seeds; None of one."""
    if len(values) < 2:
        return None
    squares = (values.sum() / len(values) - values) ** 2
    return math.sqrt(squares.sum() / (len(values) - 1))
