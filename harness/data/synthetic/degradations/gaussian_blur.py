"""Gaussian blur on display values, as MiOIR blurs (Kong et al., ECCV 2024).

Its training script draws sigma from 1 to 3 pixels and an odd kernel side from 7 to 21, whatever
the sigma, so a wide Gaussian may be cut by a small kernel; so it is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from harness.config.degradation import Degradation
from harness.config.spec import Range, within
from harness.data.images.arrays import Float
from harness.data.synthetic.light import pixels


class GaussianBlur(Degradation):
    """Isotropic Gaussian, cut to a square.

    Attributes:
        sigma_px: standard deviation.
        kernel_px: odd sides that the square's is drawn from.
    """

    version: ClassVar[int] = 1
    kind: Literal["gaussian-blur"]
    sigma_px: Annotated[Range, within(0, 100)]
    kernel_px: tuple[Annotated[int, Field(ge=3, le=999)], ...] = Field(min_length=1)

    @field_validator("kernel_px")
    @classmethod
    def _odd(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        if any(side % 2 == 0 for side in sides):
            raise ValueError("a kernel has a centre, so its side must be odd")
        return sides

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return blur(clean, self, rngs)


def blur(
    clean: Float, ranges: GaussianBlur, rngs: Sequence[np.random.Generator]
) -> NDArray[np.float32]:
    """Blur (N, 3, H, W) in [0, 1]; returns the same shape, not rounded. Borders are mirrored."""
    import cv2

    blurred = np.empty_like(clean)
    for image, target, rng in zip(clean, blurred, rngs, strict=True):
        sigma = rng.uniform(*ranges.sigma_px)
        side = ranges.kernel_px[int(rng.integers(len(ranges.kernel_px)))]
        weights = gaussian(sigma, side)
        filtered = cv2.sepFilter2D(
            pixels(image), cv2.CV_32F, weights, weights, borderType=cv2.BORDER_REFLECT_101
        )
        target[...] = filtered.transpose(2, 0, 1)
    return blurred


def gaussian(sigma: float, side: int) -> NDArray[np.float32]:
    """Return ``side`` weights that sum to one; a sigma of zero leaves the centre alone."""
    offset = np.arange(side) - side // 2
    if sigma == 0:
        return np.asarray(offset == 0, dtype=np.float32)
    weights = np.exp(-0.5 * (offset / sigma) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)
