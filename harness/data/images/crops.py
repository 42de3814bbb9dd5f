"""Crops: about the centre for tests; for training one square and symmetry of a pair's images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError
from harness.data.images.arrays import Float, Image8, Number

SYMMETRIES = {"dihedral": (0, 8), "dihedral-without-identity": (1, 8), "none": (0, 1)}
"""By augmentation, the first mode of :func:`turn` and the one after the last."""


def centre_crop(image: NDArray[Number], multiple: int, side: int | None) -> NDArray[Number]:
    """Cut (H, W, 3) about its centre to multiples of ``multiple``, at most ``side`` each.

    The odd pixel is cut from the bottom and right, as in the published ``crop_img``
    (PromptIR, utils/image_utils.py).
    """
    slices: list[slice] = []
    for length in image.shape[:2]:
        size = (length if side is None else min(length, side)) // multiple * multiple
        start = (length - size) // 2
        slices.append(slice(start, start + size))
    return image[slices[0], slices[1]]


def crop_alike(
    images: Sequence[Image8], side: int, rng: np.random.Generator, augmentation: str
) -> list[Image8]:
    """Cut one square of ``side`` pixels from images (H, W, 3) of one size, turned alike.

    ``augmentation`` is one of ``SYMMETRIES``.

    Raises:
        HarnessError: sizes differ, or the images are smaller than the crop.
    """
    height, width = images[0].shape[:2]
    if any(image.shape[:2] != (height, width) for image in images):
        sizes = " and ".join(f"{i.shape[1]}x{i.shape[0]}" for i in images)
        raise HarnessError(f"the images of a pair differ in size: {sizes}; check the data set")
    if min(height, width) < side:
        raise HarnessError(
            f"an image of {width}x{height} pixels is smaller than the patch of {side}; "
            "lower patch_px in the recipe"
        )
    top = int(rng.integers(height - side + 1))
    left = int(rng.integers(width - side + 1))
    mode = int(rng.integers(*SYMMETRIES[augmentation]))
    return [turn(image[top : top + side, left : left + side], mode) for image in images]


def turn(image: Image8, mode: int) -> Image8:
    """Apply one of the eight symmetries of the square to (H, W, C).

    Numbered as in the published code (PromptIR, utils/image_utils.py): ``mode // 2`` quarter
    turns, then upside down for odd modes; 0 is the identity.
    """
    turned = np.rot90(image, mode // 2)
    return np.flipud(turned) if mode % 2 else turned


def to_unit(crops: Sequence[Image8]) -> Float:
    """Stack (H, W, 3) uint8 crops to (N, 3, H, W) float32 in [0, 1], contiguous."""
    height, width = crops[0].shape[:2]
    batch = np.empty((len(crops), 3, height, width), dtype=np.float32)
    for target, crop in zip(batch, crops, strict=True):
        np.divide(crop.transpose(2, 0, 1), np.float32(255), out=target, dtype=np.float32)
    return batch
