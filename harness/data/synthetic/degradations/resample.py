"""Low resolution shown at full size: bicubic down, bicubic up.

MiOIR's two scripts differ. Training images are sampled by torch without a low-pass filter and
enlarged again (``point``); test images are enlarged from files that MATLAB made, with one
(``antialiased``). The grid of low-resolution pixels starts anywhere, as it does in a crop.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.config.degradation import Degradation
from harness.data.images.arrays import Float

Wide = NDArray[np.float64]


class Resample(Degradation):
    """Bicubic down by a factor and bicubic up again to the same size.

    Attributes:
        factor: how many times smaller the low resolution is.
        kernel: ``point`` samples without low-pass filter, as torch's interpolation does
            (a = -0.75); ``antialiased`` widens the kernel by the factor, as MATLAB's imresize does
            (a = -0.5).
    """

    version: ClassVar[int] = 1
    kind: Literal["resample"]
    factor: int = Field(ge=2, le=64)
    kernel: Literal["point", "antialiased"]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return resample(clean, self, rngs)


def resample(clean: Float, ranges: Resample, rngs: Sequence[np.random.Generator]) -> Float:
    """Sample (N, 3, H, W) in [0, 1] down and up; returns the same shape, clipped, not rounded."""
    height, width = clean.shape[2:]
    antialiased = ranges.kernel == "antialiased"
    enlarged = np.empty_like(clean)
    for image, target, rng in zip(clean, enlarged, rngs, strict=True):
        row_phase, column_phase = rng.integers(ranges.factor, size=2).tolist()
        rows = down_and_up(height, ranges.factor, row_phase, antialiased)
        columns = down_and_up(width, ranges.factor, column_phase, antialiased)
        np.clip(rows @ image @ columns.T, 0, 1, out=target)
    return enlarged


@functools.lru_cache(maxsize=64)
def down_and_up(size: int, factor: int, phase: int, antialiased: bool) -> NDArray[np.float32]:
    """Return the (size, size) matrix of both steps along one side; its rows sum to one.

    The first low-resolution pixel starts ``phase`` pixels before the image. Beyond the borders
    the outermost pixel goes on.
    """
    small = -(-(size + phase) // factor)
    sharpness, width = (-0.5, factor) if antialiased else (-0.75, 1)
    low_at = np.asarray(factor * (np.arange(small) + 0.5) - 0.5 - phase, dtype=np.float64)
    high_at = np.asarray((np.arange(size) + phase + 0.5) / factor - 0.5, dtype=np.float64)
    down = _weights(low_at, size, width, sharpness)
    up = _weights(high_at, small, 1, sharpness)
    both: NDArray[np.float32] = (up @ down).astype(np.float32)
    both.flags.writeable = False
    return both


def _weights(positions: Wide, size: int, width: int, sharpness: float) -> Wide:
    """Return (positions, size): cubic weights of the ``size`` pixels about each position."""
    reach = 2 * width + 1
    first = np.floor(positions).astype(np.int64) - reach
    places = first[:, None] + np.arange(2 * reach + 2)
    weights = _cubic((places - positions[:, None]) / width, sharpness)
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((len(positions), size))
    lines = np.arange(len(positions))[:, None]
    np.add.at(matrix, (lines, np.clip(places, 0, size - 1)), weights)
    return matrix


def _cubic(x: Wide, a: float) -> Wide:
    """Return Keys' cubic convolution kernel (IEEE TASSP 1981) with parameter ``a``."""
    t = np.abs(x)
    inner = (a + 2) * t**3 - (a + 3) * t**2 + 1
    outer = a * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t <= 1, inner, np.where(t < 2, outer, 0.0))
