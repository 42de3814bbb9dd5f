"""Peak signal-to-noise ratio, in dB."""

from __future__ import annotations

import numpy as np

from harness.evaluation.metrics.arrays import Image, check_same_size
from harness.evaluation.metrics.definition import metric
from harness.evaluation.metrics.luma import bgr, luma601


def psnr(restored: Image, clean: Image, peak: float) -> float:
    """Return 10 log10(peak^2 / MSE) in dB over all values; infinite for equal images.

    Raises:
        HarnessError: sizes differ.
    """
    check_same_size(restored, clean)
    difference = np.subtract(restored, clean, dtype=np.float64)
    error = float(np.mean(np.square(difference, out=difference)))
    return float("inf") if error == 0 else float(10 * np.log10(peak * peak / error))


@metric(id="psnr_rgb", label="PSNR", unit="dB", decimals=2)
def psnr_rgb(restored: Image, clean: Image) -> float:
    """Return PSNR in dB over all pixels and channels, with peak 1."""
    return psnr(restored, clean, peak=1.0)


@metric(id="psnr_y601", label="PSNR (Y)", unit="dB", decimals=2)
def psnr_y601(restored: Image, clean: Image) -> float:
    """Return PSNR in dB on BT.601 luma in [16, 235], not rounded, with peak 255 (BasicSR)."""
    return psnr(luma601(restored), luma601(clean), peak=255.0)


@metric(id="psnr_y601_bgr", label="PSNR (Y, BGR)", unit="dB", decimals=2)
def psnr_y601_bgr(restored: Image, clean: Image) -> float:
    """Return PSNR as :func:`psnr_y601`, with the weights of red and blue exchanged.

    sunshangquan/Histoformer, Allweather/compute_psnr.py, reads files as BGR and weights them as
    RGB.
    """
    return psnr_y601(bgr(restored), bgr(clean))
