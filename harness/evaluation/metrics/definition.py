"""What a metric is, and the decorator that defines one.

A metric of one's own is a function in a plug-in file::

    from harness.evaluation.metrics import metric

    @metric(id="mae_rgb", label="MAE", decimals=4, higher_is_better=False)
    def mae_rgb(restored, clean):
        return float(abs(restored - clean).mean())

and ``--plugin my_metric.py --metrics mae_rgb`` scores it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError, UsageError, reason_of
from harness.evaluation.metrics.arrays import Image

MetricFunction = Callable[[Image, Image], float]
"""Takes the restored and the clean image, (H, W, 3) RGB in [0, 1], and returns the value."""

_ID = re.compile(r"[A-Za-z0-9_.+-]+")


@dataclass(frozen=True)
class MetricFacts:
    """What tables need of a metric.

    Attributes:
        id: full name, as results carry it; it names all that the formula does.
        label: name in tables.
        unit: ``dB``, or empty.
        decimals: digits after the point in tables.
        higher_is_better: the direction in which methods are ranked.
        of_set: whether a value is one of all images of a column at once.
    """

    id: str
    label: str
    unit: str
    decimals: int
    higher_is_better: bool
    of_set: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class SetMetric(MetricFacts):
    """A metric of two sets of images: the restored ones of a column and the clean ones.

    Attributes:
        features: describes one image by a vector.
        distance: compares the vectors (N, D) of the restored images to those of the clean ones.
        least_images: what a set must hold for the value to exist.
    """

    features: Callable[[Image], NDArray[np.floating]]
    distance: Callable[[NDArray[np.floating], NDArray[np.floating]], float]
    least_images: int = 2


@dataclass(frozen=True)
class Metric(MetricFacts):
    """A metric that can be computed.

    Attributes:
        function: measures a restored image against the clean one.
        concurrent: whether several threads may call ``function`` at once.
    """

    function: MetricFunction
    concurrent: bool = True

    def measure(self, restored: Image, clean: Image) -> float:
        """Return the value of the metric on two images.

        Raises:
            HarnessError: the function ends the process or returns no number.
        """
        try:
            value = self.function(restored, clean)
        except SystemExit as error:
            raise HarnessError(f"metric {self.id} failed: {reason_of(error)}") from error
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise HarnessError(
                f"metric {self.id} returned a {type(value).__name__} that is no number"
            ) from error


_defined: dict[str, Metric] = {}


def metric(
    *,
    id: str,
    label: str,
    unit: str = "",
    decimals: int = 4,
    higher_is_better: bool = True,
    concurrent: bool = True,
) -> Callable[[MetricFunction], MetricFunction]:
    """Define a metric by the decorated function, which stays as it is.

    The arguments are the fields of :class:`Metric`.

    Raises:
        UsageError: the id is taken, or holds other signs than letters, digits and ``_.+-``.
    """
    if not _ID.fullmatch(id):
        raise UsageError(
            f"metric id '{id}' is not allowed; use letters, digits, '_', '.', '+' and '-' alone"
        )

    def define(function: MetricFunction) -> MetricFunction:
        earlier = _defined.get(id)
        if earlier is not None and not _is_same_source(earlier.function, function):
            raise UsageError(f"metric id '{id}' is defined twice; choose another id for one")
        _defined[id] = Metric(id, label, unit, decimals, higher_is_better, function, concurrent)
        return function

    return define


def defined_metrics() -> Mapping[str, Metric]:
    """Return all metrics that were defined so far in this process, by id."""
    return MappingProxyType(_defined)


def _is_same_source(one: MetricFunction, other: MetricFunction) -> bool:
    """Return whether two functions are one definition, imported again."""
    names = []
    for function in (one, other):
        module = getattr(function, "__module__", None)
        names.append((module, getattr(function, "__qualname__", None)))
    return names[0] == names[1]
