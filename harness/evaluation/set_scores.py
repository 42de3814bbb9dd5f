"""Metrics of all images of a column at once, gathered while the images are restored.

Features of images are kept in memory until their column is whole, and are not stored: where a
value is missing, all images of its column are restored in one go.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError
from harness.config.protocols import Protocol
from harness.evaluation.metrics.arrays import Image
from harness.evaluation.metrics.definition import SetMetric
from harness.evaluation.protocols import apply_protocol

_lock = threading.Lock()
"""Networks compute for one image at a time."""


FeaturePair = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Features of a restored and of its clean image."""

Features = dict[tuple[int, str], FeaturePair]
"""What set metrics need of an image, by the number of the request and the id of the metric."""


def features_of(metric: SetMetric, restored: Image, clean: Image) -> FeaturePair:
    """Return the features of one pair, as the protocol has made it."""
    with _lock:
        return metric.features(restored), metric.features(clean)


@dataclass
class FeaturePairs:
    """Features of the restored and of the clean images of a set, under one protocol."""

    metric: SetMetric
    restored: list[NDArray[np.floating]] = field(default_factory=list)
    clean: list[NDArray[np.floating]] = field(default_factory=list)

    def add(self, restored: Image, clean: Image) -> None:
        """Add one pair, as the protocol has made it."""
        self.add_features(features_of(self.metric, restored, clean))

    def add_features(self, pair: FeaturePair) -> None:
        """Add the features of one pair."""
        self.restored.append(pair[0])
        self.clean.append(pair[1])

    def distance(self) -> float:
        """Return the value of the set.

        Raises:
            HarnessError: the set has too few images.
        """
        check_size(self.metric, len(self.restored), "the set")
        return float(self.metric.distance(np.stack(self.restored), np.stack(self.clean)))


def check_size(metric: SetMetric, images: int, what: str) -> None:
    """Refuse a set that is too small for a metric.

    Raises:
        HarnessError: names the metric, the set and the way out.
    """
    if images < metric.least_images:
        raise HarnessError(
            f"{metric.label} needs at least {metric.least_images} images, and {what} has {images}; "
            "score more images, or leave it out of --metrics"
        )


@dataclass(frozen=True)
class SetRequest:
    """The set metrics of one protocol, and the columns of which they are stored already.

    Attributes:
        protocol: what is done to images before.
        metrics: what is measured.
        done: (column, metric) of the stored values.
    """

    protocol: Protocol
    metrics: Sequence[SetMetric]
    done: Collection[tuple[str, str]]


@dataclass(frozen=True)
class SetValue:
    """A value of a column: the number of the request, the metric's id and the value."""

    request: int
    metric: str
    value: float


class SetScores:
    """Gathers features by column, and gives out values when a column is whole."""

    def __init__(self, requests: Sequence[SetRequest], columns: Iterable[str]) -> None:
        """Prepare for images whose columns are ``columns``, one entry an image."""
        self._requests = requests
        self._left = Counter(columns)
        self._gathered: dict[str, dict[tuple[int, str], FeaturePairs]] = defaultdict(dict)
        for number, request in enumerate(requests):
            for metric in request.metrics:
                for column in self._left:
                    if (column, metric.id) not in request.done:
                        self._gathered[column][number, metric.id] = FeaturePairs(metric)

    def needs(self, column: str) -> bool:
        """Return whether a value of a column is missing, so that all its images are needed."""
        return column in self._gathered

    def features(self, column: str, restored: Image, clean: Image) -> Features:
        """Return what an image adds to the values of its column that are missing."""
        found: Features = {}
        for number, request in enumerate(self._requests):
            wanted = [key for key in self._gathered.get(column, ()) if key[0] == number]
            if wanted:
                images = apply_protocol(restored, clean, request.protocol)
                for key in wanted:
                    found[key] = features_of(self._gathered[column][key].metric, *images)
        return found

    def add(self, column: str, features: Features) -> Iterator[SetValue]:
        """Add an image of a column; yields the column's values with its last image."""
        if not self.needs(column):
            return
        for key, pair in features.items():
            self._gathered[column][key].add_features(pair)
        self._left[column] -= 1
        if self._left[column]:
            return
        for (number, metric), pairs in self._gathered.pop(column).items():
            yield SetValue(number, metric, pairs.distance())
