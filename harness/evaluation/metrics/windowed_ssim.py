"""The mean of local structural similarity over a separable window."""

from __future__ import annotations

import numpy as np

from harness.evaluation.metrics.arrays import (
    Float64,
    Image,
    ImageTooSmallError,
    check_same_size,
)

BAND_BYTES = 2**20
"""Bytes of one float64 map that are computed at once."""

_K1, _K2 = 0.01, 0.03


def uniform(side: int) -> Float64:
    """Return the one-dimensional uniform window of ``side`` pixels."""
    return np.full(side, 1 / side)


def gauss11() -> Float64:
    """Return the one-dimensional Gaussian window of 11 pixels, sigma 1.5."""
    weights = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    normalised: Float64 = weights / weights.sum()
    return normalised


def windowed_ssim(
    restored: Image,
    clean: Image,
    weights: Float64,
    peak: float,
    unbiased: float,
    band_bytes: int = BAND_BYTES,
) -> float:
    """Return the mean SSIM over the positions where the window lies inside the image.

    Wang et al., IEEE TIP 13(4), 2004, equation 13 with alpha = beta = gamma = 1.

    Args:
        restored: (H, W) or (H, W, C) on a scale of 0 to ``peak``; channels are averaged.
        clean: the same shape and scale.
        weights: one-dimensional window of odd length; the square one is its outer product.
        peak: L in the constants (0.01 L)^2 and (0.03 L)^2.
        unbiased: factor on variances and covariance; N / (N - 1) gives the sample covariance of
            a window of N pixels, 1 that of the population.
        band_bytes: size of the bands of rows that are computed one after another.

    Raises:
        HarnessError: sizes differ; ImageTooSmallError: an image is smaller than the window.
    """
    check_same_size(restored, clean)
    height, width = restored.shape[:2]
    if min(height, width) < len(weights):
        raise ImageTooSmallError(
            f"an image of {width}x{height} pixels is smaller than the SSIM window "
            f"of {len(weights)}; score larger images"
        )
    # In bands of rows, so that what is computed stays in the cache and large images cost no
    # memory; a band overlaps the next by what its windows reach.
    overlap = len(weights) - 1
    rows = max(len(weights), band_bytes // (8 * restored[0].size))
    total = 0.0
    for top in range(0, height - overlap, rows):
        band = slice(top, top + rows + overlap)
        total += _ssim_sum(restored[band], clean[band], weights, peak, unbiased)
    channels = restored.shape[2] if restored.ndim == 3 else 1
    windows = (height - overlap) * (width - overlap) * channels
    return float(total / windows)


def _ssim_sum(
    restored: Image, clean: Image, weights: Float64, peak: float, unbiased: float
) -> float:
    """Return the sum of SSIM over the positions where the window lies inside.

    Every map is written into one that is no longer needed, borders included: fresh maps, and
    maps with gaps between their rows, cost more than the arithmetic.
    """
    x, y = restored.astype(np.float64), clean.astype(np.float64)
    # The variances enter as a sum alone, so four maps are filtered and not five.
    mean_x, mean_y = _filtered(x, weights), _filtered(y, weights)
    xy = _filtered(x * y, weights)
    np.square(x, out=x)
    np.square(y, out=y)
    x += y
    squares = _filtered(x, weights)
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    # xy: 2 covariance + c2; products: 2 mean_x mean_y + c1.
    products = mean_x * mean_y
    xy -= products
    xy *= 2 * unbiased
    xy += c2
    products *= 2
    products += c1
    # squares: sum of variances + c2; mean_x: mean_x^2 + mean_y^2 + c1.
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


def _filtered(values: Float64, weights: Float64) -> Float64:
    """Filter (H, W) or (H, W, C) with the separable window; mirrored at the borders."""
    import cv2

    if np.ptp(weights) == 0:
        filtered = cv2.boxFilter(values, cv2.CV_64F, (len(weights), len(weights)))
    else:
        filtered = cv2.sepFilter2D(values, cv2.CV_64F, weights, weights)
    return np.asarray(filtered, dtype=np.float64)
