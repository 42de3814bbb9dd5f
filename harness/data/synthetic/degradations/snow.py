"""Falling snow: semi-transparent flakes of all distances before a slightly whitened scene.

Snow100K (Liu et al., IEEE TIP 2018) lays masks of flakes that differ in size, shape, density,
trajectory and transparency over images: small ones in its S part, small to large in L. Here
every flake is drawn by itself: an irregular soft shape, stretched along its fall; large ones
are near the camera, so they move farther and are less in focus.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.config.degradation import Degradation
from harness.config.spec import Range, within
from harness.data.images.arrays import Float
from harness.data.synthetic.draws import uniform

Wide = NDArray[np.float64]

_EXTENTS_PX = (0.0, 2.5, 4.0, 6.0, 9.0, 13.0, 19.0, 28.0, np.inf)
"""Extents that part the layers: the flakes of a layer are drawn on squares of one size."""
_WOBBLE = 0.25
_REACH = 0.85
"""How far the soft edge of a resting flake reaches from its centre, in diameters."""
_JITTER_DEG = 7.0


class Snow(Degradation):
    """Semi-transparent flakes, whose diameters follow ``d ** -3`` as at all distances.

    Attributes:
        density: flakes per pixel.
        diameter_px: from small to large.
        opacity: the most that a flake covers, in [0, 1].
        motion: how far a flake moves at most, in diameters.
        angle_deg: direction of the fall, from the vertical.
        veil: share of white light that snow too far to be visible adds.
    """

    version: ClassVar[int] = 1
    kind: Literal["snow"]
    density: Annotated[Range, within(0, 1)]
    diameter_px: Annotated[Range, within(0.1, 500)]
    opacity: Annotated[Range, within(0, 1)]
    motion: Annotated[Range, within(0, 100)]
    angle_deg: Annotated[Range, within(-360, 360)]
    veil: Annotated[Range, within(0, 1)]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return add_snow(clean, self, rngs)


def add_snow(clean: Float, ranges: Snow, rngs: Sequence[np.random.Generator]) -> Float:
    """Lay flakes over (N, 3, H, W) in [0, 1]; returns the same shape, not rounded."""
    snowy = np.empty_like(clean)
    for image, target, rng in zip(clean, snowy, rngs, strict=True):
        density, opacity, motion, angle_deg, veil = uniform(
            rng, ranges.density, ranges.opacity, ranges.motion, ranges.angle_deg, ranges.veil
        )
        white = np.float32(rng.uniform(0.88, 1.0))
        snowfall = _Snowfall(density, ranges.diameter_px, opacity, motion, angle_deg)
        covered = _cover(image.shape[1], image.shape[2], snowfall, rng)
        covered = 1 - (1 - covered) * np.float32(1 - veil)
        target[...] = image + covered * (white - image)
    return snowy


@dataclass(frozen=True)
class _Snowfall:
    """What all flakes of one image share; see :class:`Snow`."""

    density: float
    diameter_px: Range
    opacity: float
    motion: float
    angle_deg: float


def _cover(height: int, width: int, snowfall: _Snowfall, rng: np.random.Generator) -> Float:
    """Return (H, W) in [0, 1): the share of light that flakes take the place of."""
    margin = int(np.ceil(snowfall.diameter_px[1] * (_REACH + snowfall.motion / 2))) + 2
    count = int(rng.poisson(snowfall.density * (height + 2 * margin) * (width + 2 * margin)))
    drawn = rng.random((9, count))
    diameter = _cubic_law(*snowfall.diameter_px, drawn[0])
    y = drawn[1] * (height + 2 * margin) - margin
    x = drawn[2] * (width + 2 * margin) - margin
    angle = np.deg2rad(snowfall.angle_deg + _JITTER_DEG * (2 * drawn[3] - 1))
    # A flake that spreads over a longer way covers each pixel for a shorter time.
    stretch = snowfall.motion * drawn[4]
    alpha = snowfall.opacity * (0.4 + 0.6 * drawn[5]) / (1 + 0.6 * stretch)
    extent = diameter * (_REACH + stretch / 2)
    seen = (np.abs(y - height / 2) < height / 2 + extent + 1) & (
        np.abs(x - width / 2) < width / 2 + extent + 1
    )
    flakes = np.stack([y, x, extent, diameter, stretch, angle, alpha, *drawn[6:]])
    # Logarithms of what flakes let through, with room for squares that stick out.
    margin = 2 * margin + 2
    passing = np.zeros((height + 2 * margin, width + 2 * margin))
    for low, high in itertools.pairwise(_EXTENTS_PX):
        own = seen & (extent > low) & (extent <= high)
        if own.any():
            _draw(passing, flakes[:, own], margin)
    inner = passing[margin : margin + height, margin : margin + width]
    return np.asarray(1 - np.exp(inner), dtype=np.float32)


def _draw(passing: Wide, flakes: Wide, margin: int) -> None:
    """Add the logarithm of what each flake of one layer lets through to ``passing``."""
    y, x, extent = flakes[:3, :, None, None]
    reach = int(np.ceil(extent.max())) + 1
    offset = np.arange(-reach, reach + 1)
    row, column = np.floor(y), np.floor(x)
    share = _shape(
        (offset[:, None] - (y - row)).astype(np.float32),
        (offset[None] - (x - column)).astype(np.float32),
        flakes[3:, :, None, None].astype(np.float32),
    )
    rows = (row + margin).astype(np.int64) + offset[:, None]
    columns = (column + margin).astype(np.int64) + offset[None]
    places = (rows * passing.shape[1] + columns).ravel()
    passing += np.bincount(
        places, weights=np.log1p(-share).ravel(), minlength=passing.size
    ).reshape(passing.shape)


def _shape(down: Float, right: Float, flakes: Float) -> Float:
    """Return what each of K flakes covers, (K, side, side) in [0, 1)."""
    diameter, stretch, angle, alpha, phase_2, phase_3, soft = flakes
    cos, sin = np.cos(angle), np.sin(angle)
    along, across = down * cos + right * sin, right * cos - down * sin
    # A flake in motion is the same shape at all places of a short line, of which the ends are
    # covered for the shortest time.
    half = diameter / 2 * (1 + stretch)
    fading = 1 - 0.8 * stretch / (1 + stretch) * np.minimum(1, (along / half) ** 2)
    along = np.sign(along) * np.maximum(np.abs(along) - stretch * diameter / 2, 0)
    distance = np.hypot(along, across)
    # The rim waves twice and three times around, by the angle's multiples.
    c, s = across / (distance + 1e-6), along / (distance + 1e-6)
    twice = (c * c - s * s) * np.cos(6.28 * phase_2) - 2 * c * s * np.sin(6.28 * phase_2)
    thrice = c * (4 * c * c - 3) * np.cos(6.28 * phase_3) - s * (3 - 4 * s * s) * np.sin(
        6.28 * phase_3
    )
    radius = diameter / 2 * (1 + _WOBBLE / 2 * (twice + thrice))
    edge = 0.8 + diameter * (0.15 + 0.35 * soft)
    inside = np.clip((radius - distance) / edge + 0.5, 0, 1)
    smooth = inside * inside * (3 - 2 * inside)
    # A flake smaller than a pixel covers its area, not the pixel.
    covered = np.minimum(1, diameter * diameter) * alpha * fading * smooth
    return np.asarray(covered, dtype=np.float32)


def _cubic_law(low: float, high: float, u: Wide) -> Wide:
    """Turn uniform numbers into diameters with p(d) proportional to d ** -3 on [low, high]."""
    drawn: Wide = (low**-2 + u * (high**-2 - low**-2)) ** -0.5
    return drawn
