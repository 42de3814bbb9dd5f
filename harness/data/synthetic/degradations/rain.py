"""Rain as bright streaks added to the image, as in Rain100L (Yang et al., CVPR 2017).

A layer is a sparse field of drops convolved with an oriented line. Drops differ in brightness;
all streaks of an image share direction, length and width, as in the benchmark's images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np

from harness.config.degradation import Degradation
from harness.config.spec import Range, within
from harness.data.images.arrays import Float
from harness.data.synthetic.draws import uniform


class Rain(Degradation):
    """Additive streaks of one direction per image.

    Attributes:
        density: drops per pixel.
        length_px: length of a streak.
        width_px: full width of a streak at half maximum.
        angle_deg: direction, from the vertical.
        strength: peak brightness of the brightest streaks, in [0, 1].
    """

    version: ClassVar[int] = 1
    kind: Literal["rain"]
    density: Annotated[Range, within(0, 1)]
    length_px: Annotated[Range, within(0.1, 1000)]
    width_px: Annotated[Range, within(0, 100)]
    angle_deg: Annotated[Range, within(-360, 360)]
    strength: Annotated[Range, within(0, 1)]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return add_rain(clean, self, rngs)


def add_rain(clean: Float, ranges: Rain, rngs: Sequence[np.random.Generator]) -> Float:
    """Add streaks to (N, 3, H, W) in [0, 1]; returns the same shape, clipped, not rounded."""
    import scipy.fft

    height, width = clean.shape[-2:]
    reach = int(np.ceil(ranges.length_px[1] / 2 + 2 * ranges.width_px[1]))
    side = 2 * reach + 1
    shape = (height + 2 * reach, width + 2 * reach)
    drops = np.zeros((len(rngs), *shape), dtype=np.float32)
    kernels = np.empty((len(rngs), side, side), dtype=np.float32)
    for drop, kernel, rng in zip(drops, kernels, rngs, strict=True):
        density, length, width_px, angle, strength = uniform(
            rng,
            ranges.density,
            ranges.length_px,
            ranges.width_px,
            ranges.angle_deg,
            ranges.strength,
        )
        count = rng.poisson(density * shape[0] * shape[1])
        rows, columns = rng.integers(shape[0], size=count), rng.integers(shape[1], size=count)
        drop[rows, columns] = strength * rng.uniform(0.3, 1.0, count)
        kernel[...] = streak(reach, length, width_px, angle)
    size = [scipy.fft.next_fast_len(n, real=True) for n in shape]
    layer = scipy.fft.irfft2(scipy.fft.rfft2(drops, size) * scipy.fft.rfft2(kernels, size), size)
    # Circular convolution is right where no streak can wrap: past the kernel's own size.
    layer = layer[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    rainy = np.clip(clean + np.maximum(layer, 0)[:, None], 0, 1)
    return np.asarray(rainy, dtype=np.float32)


def streak(reach: int, length: float, width: float, angle_deg: float) -> Float:
    """Return a (2 reach + 1)-sided line through the centre with peak 1 and fading ends."""
    offset = np.arange(-reach, reach + 1, dtype=np.float32)
    y, x = offset[:, None], offset[None]
    angle = np.deg2rad(angle_deg)
    along = y * np.cos(angle) + x * np.sin(angle)
    across = x * np.cos(angle) - y * np.sin(angle)
    sigma = width / 2.355
    # A pixel averages over its own area, which widens the thinnest streaks.
    profile = np.exp(-0.5 * across**2 / (sigma**2 + 1 / 12))
    ends = np.clip((length / 2 - np.abs(along)) / (0.5 * length) + 0.25, 0, 1)
    return np.asarray(profile * ends, dtype=np.float32)
