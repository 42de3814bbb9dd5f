"""The part of an image that is shown enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import UsageError

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""

Number = TypeVar("Number", bound=np.generic)

_SHARE = 4
"""An automatic crop has this part of the shorter side."""

_LEAST_PX = 32


@dataclass(frozen=True)
class Box:
    """A rectangle of an image in pixels; ``x`` and ``y`` are its left and upper edge."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, image: NDArray[Number]) -> NDArray[Number]:
        """Return this part of an image (H, W, ...)."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


CropRule = Box | Literal["auto", "none"]
"""A rectangle for all images, the place of the largest difference in each, or the whole image."""


def parse_crop(text: str) -> CropRule:
    """Read ``x,y,w,h`` in pixels, ``auto`` or ``none``.

    Raises:
        UsageError: the text is of another form.
    """
    if text == "auto":
        return "auto"
    if text == "none":
        return "none"
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(
            f"--crop '{text}' is not like 40,60,64,64 (left, top, width and height in pixels), "
            "auto or none"
        )
    box = Box(*map(int, parts))
    if box.width < 1 or box.height < 1:
        raise UsageError(f"--crop {text} is empty; give a width and a height in pixels")
    return box


def check_inside(box: Box, image: NDArray[Any], name: str) -> None:
    """Refuse a crop that reaches over the edge of an image.

    Raises:
        UsageError: names the image and its size.
    """
    height, width = image.shape[:2]
    if box.x + box.width > width or box.y + box.height > height:
        raise UsageError(
            f"--crop {box.x},{box.y},{box.width},{box.height} lies outside {name}, which has "
            f"{width}x{height} pixels; choose a smaller one, or auto"
        )


def largest_difference(images: Sequence[Pixels]) -> Box:
    """Return the square in which images of one size differ most from each other.

    The difference at a pixel is the largest minus the smallest value among the images, mean over
    channels. The square has a quarter of the shorter side.
    """
    stack = np.stack(images).astype(np.float64)
    spread = (stack.max(axis=0) - stack.min(axis=0)).mean(axis=2)
    height, width = spread.shape
    side = min(height, width, max(_LEAST_PX, min(height, width) // _SHARE))
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = spread.cumsum(axis=0).cumsum(axis=1)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return Box(int(x), int(y), side, side)
