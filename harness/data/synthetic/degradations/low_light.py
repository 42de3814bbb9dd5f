"""Dark images: less light, a curve, and the noise that little light brings.

Three kinds of the literature are settings of one model. LOL (Wei et al., BMVC 2018) took each
scene again with a short exposure: ``exposure`` scales linear light, photons arrive at random.
MiOIR raises display values to a power. CDD-11 (OneRestore, Guo et al., ECCV 2024) divides the image
into reflectance and illumination and darkens the illumination alone, then adds noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.config.degradation import Degradation
from harness.config.spec import Range, within
from harness.data.images.arrays import Float
from harness.data.synthetic.draws import uniform
from harness.data.synthetic.light import to_display, to_linear

_DARKEST = 0.02
"""Illumination below which a neighbourhood is not taken to be darker still."""
_EDGE_VARIANCE = 1e-3
"""Variance of grey above which the illumination follows an edge (guided filter's epsilon)."""


class LowLight(Degradation):
    """A dark image: a power of display values, less linear light, and noise.

    Attributes:
        gamma: power of the display values.
        exposure: factor of linear light.
        illumination_px: above 0, gamma acts on the light that falls on a neighbourhood of that
            radius (Retinex), not on each pixel.
        white_electrons: electrons that white at full exposure gives; their number follows
            Poisson's law. Without it the sensor adds no noise.
        read_electrons: standard deviation of the noise of reading them.
        noise_255: standard deviation of noise in grey levels of the result.
    """

    version: ClassVar[int] = 1
    kind: Literal["low-light"]
    gamma: Annotated[Range, within(0.01, 100)] = (1.0, 1.0)
    exposure: Annotated[Range, within(0, 10)] = (1.0, 1.0)
    illumination_px: int = Field(default=0, ge=0, le=1000)
    white_electrons: Annotated[Range, within(0.1, 1e7)] | None = None
    read_electrons: Annotated[Range, within(0, 1e5)] = (0.0, 0.0)
    noise_255: Annotated[Range, within(0, 1000)] = (0.0, 0.0)

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return darken(clean, self, rngs)


def darken(clean: Float, ranges: LowLight, rngs: Sequence[np.random.Generator]) -> Float:
    """Darken (N, 3, H, W) in [0, 1]; returns the same shape, clipped, not rounded."""
    dark = np.empty_like(clean)
    for image, target, rng in zip(clean, dark, rngs, strict=True):
        drawn = uniform(
            rng,
            ranges.gamma,
            ranges.exposure,
            ranges.white_electrons or (0.0, 0.0),
            ranges.read_electrons,
            ranges.noise_255,
        )
        gamma, exposure, electrons, read, noise_255 = map(np.float32, drawn)
        curved = _curved(image, ranges, gamma)
        if _acts(ranges.exposure) or ranges.white_electrons:
            light = to_linear(curved) * exposure
            if ranges.white_electrons:
                light = _counted(light, electrons, read, rng)
            curved = to_display(light)
        if any(ranges.noise_255):
            grain = rng.standard_normal(image.shape, dtype=np.float32)
            curved = curved + noise_255 / np.float32(255) * grain
        target[...] = np.clip(curved, 0, 1)
    return dark


def _acts(bounds: Range) -> bool:
    return bounds != (1.0, 1.0)


def _curved(image: Float, ranges: LowLight, gamma: np.float32) -> Float:
    """Apply gamma to the illumination of each neighbourhood, or to each pixel."""
    if not _acts(ranges.gamma):
        return image
    if ranges.illumination_px:
        return image * illumination(image, ranges.illumination_px) ** (gamma - 1)
    return np.power(image, gamma)


def _counted(light: Float, white: np.float32, read: np.float32, rng: np.random.Generator) -> Float:
    """Count photons: Poisson's law by the Gaussian of its mean and variance, then read noise."""
    variance = light / white + (read / white) ** 2
    grain = rng.standard_normal(light.shape, dtype=np.float32)
    return np.asarray(light + np.sqrt(variance) * grain, dtype=np.float32)


def illumination(image: Float, radius: int) -> Float:
    """Return (H, W) in [0.02, 1]: the brightest channel, smoothed but for the edges of grey.

    A guided filter (He, Sun and Tang, ECCV 2010) of ``radius`` pixels.
    """
    import cv2

    def mean(map_: NDArray[np.floating]) -> Float:
        side = (2 * radius + 1, 2 * radius + 1)
        averaged = cv2.boxFilter(map_, cv2.CV_32F, side, borderType=cv2.BORDER_REFLECT)
        return np.asarray(averaged, dtype=np.float32)

    bright = np.ascontiguousarray(image.max(axis=0))
    grey: Float = image.mean(axis=0, dtype=np.float32)
    mean_grey, mean_bright = mean(grey), mean(bright)
    variance = mean(grey * grey) - mean_grey * mean_grey
    slope = (mean(grey * bright) - mean_grey * mean_bright) / (variance + _EDGE_VARIANCE)
    offset = mean_bright - slope * mean_grey
    smooth = mean(slope) * grey + mean(offset)
    return np.asarray(np.clip(smooth, _DARKEST, 1), dtype=np.float32)
