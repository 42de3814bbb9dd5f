"""Defocus: every point of the scene spreads over a disc, the image of the aperture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.degradations.light import Float, pixels, to_display, to_linear
from harness.spec import DefocusRange


def defocus(clean: Float, ranges: DefocusRange, rngs: Sequence[np.random.Generator]) -> Float:
    """Blur (N, 3, H, W) in [0, 1] by discs; returns the same shape, not rounded."""
    import cv2

    blurred = np.empty_like(clean)
    for image, target, rng in zip(clean, blurred, rngs, strict=True):
        kernel = disc(rng.uniform(*ranges.radius_px))
        light = cv2.filter2D(
            to_linear(pixels(image)), cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101
        )
        target[...] = to_display(np.asarray(light, dtype=np.float32)).transpose(2, 0, 1)
    return blurred


def disc(radius: float) -> NDArray[np.float32]:
    """Return a disc of ``radius`` pixels that sums to one, each pixel by its covered share.

    Coverage is taken from the distance of a pixel's centre to the rim, exact to a few percent.
    """
    reach = int(np.ceil(radius + 0.5))
    offset = np.arange(-reach, reach + 1)
    covered = np.clip(radius + 0.5 - np.hypot(offset[:, None], offset[None]), 0, 1)
    return np.asarray(covered / covered.sum(), dtype=np.float32)
