"""Means of many results: over the images of each seed, then over columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError
from harness.store.result_columns import ResultColumns

if TYPE_CHECKING:
    import pandas as pd

_IDENTITY = ("method", "seed", "column", "image", "metric")
"""What a value is of; a result that has the same of all is the same value, or a contradiction."""

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


def frame_of(results: ResultColumns) -> pd.DataFrame:
    """Return results as a frame of their identity and value, text as categories in order.

    A result that stands twice with the same value is taken once.

    Raises:
        HarnessError: one image has two different values.
    """
    import pandas as pd

    content: dict[str, Any] = {"seed": results.seeds, "value": results.values}
    for field in ("method", "column", "image", "metric"):
        column = results.column(field)
        order = np.argsort(np.array(column.names, dtype=object), kind="stable")
        places = np.empty(len(order), dtype=column.codes.dtype)
        places[order] = np.arange(len(order))
        names = [column.names[place] for place in order]
        content[field] = pd.Categorical.from_codes(places[column.codes], pd.Index(names))
    frame = pd.DataFrame(content, copy=False)
    return _without_repeats(frame) if _has_repeats(frame) else frame


def _has_repeats(frame: pd.DataFrame) -> bool:
    """Return whether two rows are of the same method, seed, column, image and metric."""
    seeds, codes = np.unique(frame["seed"], return_inverse=True)
    identity: NDArray[np.int64] = codes.astype(np.int64)
    different = len(seeds)
    for field in ("method", "column", "image", "metric"):
        categories = frame[field].cat
        different *= len(categories.categories)
        if different >= 2**63:
            return bool(frame.duplicated(list(_IDENTITY)).any())
        identity = identity * len(categories.categories) + categories.codes.to_numpy()
    identity.sort()
    return bool((identity[1:] == identity[:-1]).any())


def _without_repeats(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose equal rows stand once; refuse two values of one image."""
    identity = list(_IDENTITY)
    frame = frame.drop_duplicates([*identity, "value"])
    twice = frame[frame.duplicated(identity)]
    if not twice.empty:
        first = twice.iloc[0]
        raise HarnessError(
            f"{first['method']} seed {first['seed']} has two values of {first['metric']} on "
            f"{first['image']} of column {first['column']}; results of two trainings are mixed, so "
            "use an output folder of one"
        )
    return frame


@dataclass(frozen=True)
class SeedMeans:
    """Means over images by method, column, metric and seed.

    Attributes:
        frame: the results.
        means: by method, column and metric: means over images, seeds in order.
        counts: by the same: results.
        averages: by method and metric: means over columns of those means, seeds in order.
        not_finite: methods, columns and metrics with a value that is not finite.
    """

    frame: pd.DataFrame
    means: Mapping[_Key, NDArray[np.float64]]
    counts: Mapping[_Key, int]
    averages: Mapping[tuple[str, str], NDArray[np.float64]]
    not_finite: frozenset[_Key]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> SeedMeans:
        """Return the means of a frame that :func:`frame_of` made."""
        fields = ["method", "metric", "seed", "column"]
        grouped = frame.groupby(fields, observed=True)["value"]
        means, counts = grouped.mean().reset_index(), grouped.size().to_numpy()
        averages = means.groupby(fields[:3], observed=True)["value"].mean().reset_index()
        by_key: dict[_Key, list[float]] = {}
        scored: dict[_Key, int] = {}
        for key, mean, count in zip(_keys(means), means["value"], counts.tolist(), strict=True):
            by_key.setdefault(key, []).append(mean)
            scored[key] = scored.get(key, 0) + count
        by_metric: dict[tuple[str, str], list[float]] = {}
        pairs = zip(averages["method"], averages["metric"], strict=True)
        for pair, mean in zip(pairs, averages["value"], strict=True):
            by_metric.setdefault(pair, []).append(mean)
        strange = frame[~np.isfinite(frame["value"].to_numpy())]
        return cls(
            frame=frame,
            means={key: np.array(values) for key, values in by_key.items()},
            counts=scored,
            averages={pair: np.array(values) for pair, values in by_metric.items()},
            not_finite=frozenset(_keys(strange)),
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

    def rows_of(self, key: _Key) -> pd.DataFrame:
        """Return the results of method, column and metric."""
        method, column, metric = key
        is_own = (self.frame["method"] == method) & (self.frame["column"] == column)
        return self.frame[is_own & (self.frame["metric"] == metric)]


def mean_of(values: NDArray[np.float64]) -> float:
    """Return a mean over seeds."""
    return float(values.sum() / len(values))


def spread_of(values: NDArray[np.float64]) -> float | None:
    """Return the sample standard deviation over seeds; None of one."""
    if len(values) < 2:
        return None
    squares = (values.sum() / len(values) - values) ** 2
    return math.sqrt(squares.sum() / (len(values) - 1))


def _keys(frame: pd.DataFrame) -> list[_Key]:
    return list(zip(frame["method"], frame["column"], frame["metric"], strict=True))
