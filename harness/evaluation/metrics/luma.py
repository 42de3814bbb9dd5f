"""Luma of RGB images."""

from __future__ import annotations

import numpy as np

from harness.evaluation.metrics.arrays import Float64, Image


def luma601(image: Image) -> Float64:
    """Return (H, W) BT.601 luma of (H, W, 3) RGB in [0, 1], in [16, 235] and not rounded."""
    coefficients = np.array([65.481, 128.553, 24.966])
    luma: Float64 = image.astype(np.float64) @ coefficients + 16.0
    return luma


def luma_yiq8(image: Image) -> Float64:
    """Return (H, W) luma of YIQ of (H, W, 3) RGB in [0, 1], in [0, 255] and rounded."""
    coefficients = np.array([0.299, 0.587, 0.114])
    luma: Float64 = np.rint(255 * (image.astype(np.float64) @ coefficients))
    return luma


def bgr(image: Image) -> Image:
    """Return an image with red and blue exchanged."""
    return image[..., ::-1]
