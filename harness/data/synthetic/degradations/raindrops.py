"""Raindrops on a lens or a pane before it, as in the RainDrop set (Qian et al., CVPR 2018).

A drop is a small wide-angle lens: it shows the scene upside down and much smaller, out of focus,
darker towards its rim where light comes from the side. The camera is focused on the scene, so
the rim is soft. What a drop shows lies partly outside a crop; there the crop is mirrored, which
blur and shrinking hide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.config.degradation import Degradation
from harness.config.spec import Range, within
from harness.data.images.arrays import Float
from harness.data.synthetic.draws import uniform
from harness.data.synthetic.light import pixels

_LARGEST = 1.6
"""Reach of a drop from its centre in radii: tall, irregular and soft."""


class Raindrops(Degradation):
    """Drops on a lens or pane, each showing the scene upside down.

    Attributes:
        coverage: share of the image that drops cover.
        radius_px: radii of drops.
        shrinking: how many times smaller a drop shows the scene.
        blur_px: standard deviation of the blur in a drop.
    """

    version: ClassVar[int] = 1
    kind: Literal["raindrops"]
    coverage: Annotated[Range, within(0, 1)]
    radius_px: Annotated[Range, within(0.1, 500)]
    shrinking: Annotated[Range, within(1, 100)]
    blur_px: Annotated[Range, within(0, 100)]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return add_raindrops(clean, self, rngs)


def add_raindrops(clean: Float, ranges: Raindrops, rngs: Sequence[np.random.Generator]) -> Float:
    """Put drops before (N, 3, H, W) in [0, 1]; returns the same shape, clipped, not rounded."""
    import cv2

    behind = np.empty_like(clean)
    for image, target, rng in zip(clean, behind, rngs, strict=True):
        coverage, shrinking, blur_px = uniform(
            rng, ranges.coverage, ranges.shrinking, ranges.blur_px
        )
        glass = Glass(image.shape[1], image.shape[2])
        for radius, y, x in drops(glass.height, glass.width, coverage, ranges.radius_px, rng):
            glass.add(radius, y, x, shrinking, rng)
        scene = pixels(image)
        # What is shown smaller is averaged before, as light would be.
        sigma = float(np.hypot(blur_px, 0.4 * shrinking))
        seen = cv2.remap(
            cv2.GaussianBlur(scene, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101),
            glass.source_x,
            glass.source_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        seen = seen * glass.shade[..., None] + glass.shine[..., None]
        mixed = scene + glass.mask[..., None] * (seen - scene)
        target[...] = np.clip(mixed, 0, 1).transpose(2, 0, 1)
    return behind


def drops(
    height: int,
    width: int,
    coverage: float,
    radius_px: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw (count, 3) radii and centres (y, x); large drops come last and lie on top."""
    margin = radius_px[1] * _LARGEST
    low, high = radius_px
    # Radii are uniform in their logarithm; this is the mean of their squares.
    square = (high**2 - low**2) / (2 * np.log(high / low)) if high > low else low**2
    area = (height + 2 * margin) * (width + 2 * margin)
    count = int(rng.poisson(coverage * area / (np.pi * square)))
    drawn = rng.random((count, 3))
    drawn[:, 0] = low * (high / low) ** drawn[:, 0]
    drawn[:, 1] = drawn[:, 1] * (height + 2 * margin) - margin
    drawn[:, 2] = drawn[:, 2] * (width + 2 * margin) - margin
    return drawn[np.argsort(drawn[:, 0], kind="stable")]


class Glass:
    """What drops do to every pixel: where it looks, how dark, how bright, how much of it.

    Maps are (H, W) float32: ``source_y`` and ``source_x`` in pixels, ``shade`` a factor,
    ``shine`` added light, ``mask`` the drop's share in [0, 1].
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        y, x = np.mgrid[:height, :width].astype(np.float32)
        self.source_y, self.source_x = y, x
        self.shade = np.ones((height, width), np.float32)
        self.shine = np.zeros((height, width), np.float32)
        self.mask = np.zeros((height, width), np.float32)

    def add(
        self, radius: float, y: float, x: float, shrinking: float, rng: np.random.Generator
    ) -> None:
        """Put one drop of ``radius`` pixels at (y, x) before what is there."""
        tall = rng.uniform(1.0, 1.3)
        bulge = rng.uniform(0, 0.12, 2)
        phase = rng.uniform(0, 2 * np.pi, 2)
        soft = rng.uniform(0.15, 0.45)
        strength = rng.uniform(0.85, 1.0)
        top, left = (max(0, int(c - radius * _LARGEST)) for c in (y, x))
        bottom = min(self.height, int(y + radius * _LARGEST) + 1)
        right = min(self.width, int(x + radius * _LARGEST) + 1)
        if top >= bottom or left >= right:
            return
        rows, columns = np.ogrid[top:bottom, left:right]
        v, u = (rows - y) / (radius * tall), (columns - x) / radius
        theta = np.arctan2(v, u)
        rim = 1 + bulge[0] * np.cos(2 * theta + phase[0]) + bulge[1] * np.cos(3 * theta + phase[1])
        # Drops hang: wider below than above.
        rim = rim * (1 + 0.12 * v)
        distance = np.hypot(u, v) / np.maximum(rim, 0.3)
        inside = np.clip((1 - distance) / max(soft, 1.5 / radius) + 0.5, 0, 1)
        mask = strength * inside * inside * (3 - 2 * inside)
        # Towards the rim the surface is steep and bends the view farther outwards.
        steep = shrinking * (1 + 0.8 * np.minimum(distance, 1.1) ** 4)
        region = (slice(top, bottom), slice(left, right))
        replaced = mask > self.mask[region]
        for map_, value in (
            (self.source_y, y - steep * v * radius * tall),
            (self.source_x, x - steep * u * radius),
            (self.shade, (1 + 0.15 * v) * (1 - 0.45 * np.minimum(distance, 1) ** 5)),
            (self.shine, 0.35 * np.exp(-((u + 0.3) ** 2 + (v + 0.45) ** 2) / 0.02)),
        ):
            np.copyto(map_[region], value.astype(np.float32), where=replaced)
        self.mask[region] = np.maximum(self.mask[region], mask)
