"""Metrics under their full names, since values differ by colour space and window.

Inputs are (H, W, 3) float RGB in [0, 1]. Families as the field's repositories use them:
``*_rgb`` and ``uniform7`` as scikit-image's defaults in AirNet, PromptIR and AdaIR;
``rgb_gauss11`` as scikit-image's Gaussian option in MoCE-IR; ``y601`` as in BasicSR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError, UsageError, did_you_mean

Image = NDArray[np.floating]
Wide = NDArray[np.float64]

_K1, _K2 = 0.01, 0.03
_BAND_BYTES = 2**20


@dataclass(frozen=True)
class Metric:
    """A named measure of a restored image against the clean one.

    ``concurrent`` tells whether several images may be measured at once.
    """

    id: str
    label: str
    unit: str
    decimals: int
    higher_is_better: bool
    function: Callable[[Image, Image], float]
    concurrent: bool = True


def psnr_rgb(restored: Image, clean: Image) -> float:
    """Return 10 log10(1 / MSE) in dB over all pixels and channels; infinite if identical."""
    return _psnr(restored, clean, peak=1.0)


def psnr_y601(restored: Image, clean: Image) -> float:
    """Return PSNR in dB on BT.601 luma in [16, 235], not rounded, with peak 255 (BasicSR)."""
    return _psnr(luma601(restored), luma601(clean), peak=255.0)


def luma601(image: Image) -> Wide:
    """Return (H, W) BT.601 luma of RGB in [0, 1], on the scale of 8-bit values."""
    coefficients = np.array([65.481, 128.553, 24.966])
    luma: Wide = image.astype(np.float64) @ coefficients + 16.0
    return luma


def ssim_rgb_uniform7(restored: Image, clean: Image) -> float:
    """Return SSIM with a uniform 7x7 window and sample covariance, mean over channels.

    scikit-image's ``structural_similarity(data_range=1, channel_axis=-1)``.
    """
    weights = np.full(7, 1 / 7)
    return _ssim(restored, clean, weights, peak=1.0, unbiased=49 / 48)


def ssim_rgb_gauss11(restored: Image, clean: Image) -> float:
    """Return SSIM with an 11x11 Gaussian window (sigma 1.5) and sample covariance.

    scikit-image's ``structural_similarity(gaussian_weights=True)`` with its default
    ``use_sample_covariance``.
    """
    return _ssim(restored, clean, _gauss11(), peak=1.0, unbiased=121 / 120)


def ssim_y601_gauss11(restored: Image, clean: Image) -> float:
    """Return SSIM on luma with an 11x11 Gaussian window, population covariance, peak 255.

    BasicSR's ``calculate_ssim(test_y_channel=True)``, after Wang et al., IEEE TIP 2004.
    """
    return _ssim(luma601(restored), luma601(clean), _gauss11(), peak=255.0, unbiased=1.0)


def _psnr(a: Image, b: Image, peak: float) -> float:
    _same_shape(a, b)
    difference = np.subtract(a, b, dtype=np.float64)
    error = float(np.mean(np.square(difference, out=difference)))
    return float("inf") if error == 0 else float(10 * np.log10(peak * peak / error))


def _gauss11() -> Wide:
    weights = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    normalised: Wide = weights / weights.sum()
    return normalised


def _ssim(a: Image, b: Image, weights: Wide, peak: float, unbiased: float) -> float:
    """Mean SSIM over the positions where the separable window lies inside the image."""
    _same_shape(a, b)
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


def _same_shape(a: NDArray[np.floating], b: NDArray[np.floating]) -> None:
    if a.shape != b.shape:
        raise HarnessError(
            f"restored and clean image differ in size: {a.shape[1]}x{a.shape[0]} against "
            f"{b.shape[1]}x{b.shape[0]}; a method must return the size it was given"
        )


METRICS: dict[str, Metric] = {
    m.id: m
    for m in (
        Metric("psnr_rgb", "PSNR", "dB", 2, True, psnr_rgb),
        Metric("ssim_rgb_uniform7", "SSIM", "", 4, True, ssim_rgb_uniform7),
        Metric("ssim_rgb_gauss11", "SSIM (Gaussian)", "", 4, True, ssim_rgb_gauss11),
        Metric("psnr_y601", "PSNR (Y)", "dB", 2, True, psnr_y601),
        Metric("ssim_y601_gauss11", "SSIM (Y)", "", 4, True, ssim_y601_gauss11),
    )
}


def resolve_metrics(names: Sequence[str]) -> list[Metric]:
    """Return metrics by full id; other names are looked up in pyiqa, prefix optional.

    Raises:
        UsageError: neither this project nor pyiqa knows the name.
        HarnessError: a metric needs weights that are not on this machine.
    """
    found = []
    for name in names:
        if name in METRICS:
            found.append(METRICS[name])
        else:
            from harness.evaluation.named import named_metric

            found.append(named_metric(name.removeprefix("pyiqa:"), METRICS))
    if len({m.id for m in found}) != len(found):
        raise UsageError("a metric is asked for twice; name each once")
    return found


def unknown_metric(name: str, known: Sequence[str]) -> UsageError:
    """Return the error for a name that is no metric."""
    return UsageError(f"unknown metric '{name}'; {did_you_mean(name, known)}")
