"""Structural similarity over a separable window (Wang et al., IEEE TIP 13(4), 2004)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError

Image = NDArray[np.floating]
Wide = NDArray[np.float64]

_K1, _K2 = 0.01, 0.03
_BAND_BYTES = 2**20


def uniform(side: int) -> Wide:
    """Return the one-dimensional uniform window of ``side`` pixels."""
    return np.full(side, 1 / side)


def gauss11() -> Wide:
    """Return the one-dimensional Gaussian window of 11 pixels, sigma 1.5."""
    weights = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    normalised: Wide = weights / weights.sum()
    return normalised


def ssim(a: Image, b: Image, weights: Wide, peak: float, unbiased: float) -> float:
    """Return the mean SSIM over the positions where the window lies inside the image.

    Args:
        a, b: (H, W) or (H, W, C) on a scale of 0 to ``peak``; channels are averaged.
        weights: one-dimensional window of odd length; the square one is its outer product.
        peak: L in the constants (0.01 L)^2 and (0.03 L)^2.
        unbiased: factor on variances and covariance; N / (N - 1) gives the sample covariance of
            a window of N pixels, 1 that of the population.

    Raises:
        HarnessError: sizes differ, or an image is smaller than the window.
    """
    same_shape(a, b)
    if min(a.shape[:2]) < len(weights):
        raise HarnessError(
            f"an image of {a.shape[1]}x{a.shape[0]} pixels is smaller than the SSIM window "
            f"of {len(weights)}; score larger images"
        )
    # In bands of rows, so that what is computed stays in the cache and large images cost no
    # memory; a band overlaps the next by what its windows reach.
    over = len(weights) - 1
    rows = max(len(weights), _BAND_BYTES // (8 * a[0].size))
    total = 0.0
    for top in range(0, a.shape[0] - over, rows):
        band = slice(top, top + rows + over)
        total += _ssim_sum(a[band], b[band], weights, peak, unbiased)
    windows = (a.shape[0] - over) * (a.shape[1] - over) * (a.shape[2] if a.ndim == 3 else 1)
    return float(total / windows)


def _ssim_sum(a: Image, b: Image, weights: Wide, peak: float, unbiased: float) -> float:
    """Return the sum of SSIM over the positions where the window lies inside."""
    x, y = (i.astype(np.float64) for i in (a, b))
    # The variances enter as a sum alone, so four maps are filtered and not five.
    mean_x, mean_y = _windowed(x, weights), _windowed(y, weights)
    xy = _windowed(x * y, weights)
    np.square(x, out=x)
    np.square(y, out=y)
    x += y
    squares = _windowed(x, weights)
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    # Written into what is there, borders included: fresh maps, and maps with gaps between
    # their rows, cost more than the arithmetic.
    products = mean_x * mean_y
    xy -= products
    xy *= 2 * unbiased
    xy += c2
    products *= 2
    products += c1
    np.square(mean_x, out=mean_x)
    np.square(mean_y, out=mean_y)
    mean_x += mean_y
    squares -= mean_x
    squares *= unbiased
    squares += c2
    mean_x += c1
    xy *= products
    squares *= mean_x
    xy /= squares
    reach = len(weights) // 2
    return float(np.sum(xy[reach:-reach, reach:-reach]))


def _windowed(map_: Wide, weights: Wide) -> Wide:
    """Filter (H, W) or (H, W, C) with the separable window; mirrored at the borders."""
    import cv2

    if np.ptp(weights) == 0:
        filtered = cv2.boxFilter(map_, cv2.CV_64F, (len(weights), len(weights)))
    else:
        filtered = cv2.sepFilter2D(map_, cv2.CV_64F, weights, weights)
    return np.asarray(filtered, dtype=np.float64)


def same_shape(a: Image, b: Image) -> None:
    """Raise :class:`HarnessError` where two images differ in size."""
    if a.shape != b.shape:
        raise HarnessError(
            f"restored and clean image differ in size: {a.shape[1]}x{a.shape[0]} against "
            f"{b.shape[1]}x{b.shape[0]}; a method must return the size it was given"
        )
