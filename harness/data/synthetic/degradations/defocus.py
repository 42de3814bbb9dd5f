"""Defocus: every point of the scene spreads over a disc, the image of the aperture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.config.degradation import Degradation
from harness.config.spec import Range, within
from harness.data.images.arrays import Float
from harness.data.synthetic.light import pixels, to_display, to_linear


class Defocus(Degradation):
    """A lens out of focus: a disc, averaged in linear light.

    Attributes:
        radius_px: radius of the disc.
    """

    version: ClassVar[int] = 1
    kind: Literal["defocus"]
    radius_px: Annotated[Range, within(0, 200)]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return defocus(clean, self, rngs)


def defocus(clean: Float, ranges: Defocus, rngs: Sequence[np.random.Generator]) -> Float:
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
