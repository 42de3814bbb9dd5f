"""Test and validation pairs of a synthetic twin, made one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import UsageError
from harness.config.preprocessing import Preprocessing
from harness.config.run_specs import TestSet
from harness.config.seeding import generator
from harness.config.settings import Column, Task
from harness.data.images.arrays import Float
from harness.data.synthetic.degrade import degrade
from harness.data.synthetic.photographs import load

Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Pair:
    """One degraded image and its clean original, both (H, W, 3) float32 in [0, 1].

    ``image`` names photograph and draw; it is unique within ``column``.
    """

    column: str
    task: str
    image: str
    photograph: str
    degraded: Float
    clean: Float


def centre_crop(image: NDArray[Number], multiple: int, side: int | None) -> NDArray[Number]:
    """Cut (H, W, 3) about its centre to multiples of ``multiple``, at most ``side`` each.

    The odd pixel goes to the bottom and right, as in the published ``crop_img``
    (PromptIR, utils/image_utils.py).
    """
    kept = []
    for length in image.shape[:2]:
        size = (length if side is None else min(length, side)) // multiple * multiple
        start = (length - size) // 2
        kept.append(slice(start, start + size))
    return image[kept[0], kept[1]]


def pair_names(columns: Sequence[Column], photographs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (column, image) of every pair, in order, without making any."""
    for column in columns:
        for name in photographs:
            for number in range(column.draws):
                yield column.name, f"{name}#{number}"


def make_pair(
    cards: Path,
    split: str,
    column: Column,
    tasks: Sequence[Task],
    image: str,
    preprocessing: Preprocessing,
    side: int | None,
) -> Pair:
    """Make the pair ``image`` of ``column``; its degradation is keyed by those names alone.

    Raises:
        UsageError: the preparation asks for the published noise stream, which passes through a
            folder of images in order and knows no single pair.
    """
    if preprocessing.noise_stream != "keyed":
        raise UsageError(
            f"preparation '{preprocessing.id}' asks for the published noise stream, which only "
            "images on disk have; set its noise_stream to keyed"
        )
    photograph, _, number = image.partition("#")
    task = next(task for task in tasks if task.name == column.task)
    clean = centre_crop(load(cards, photograph), preprocessing.crop_multiple, side)
    unit = (clean.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
    rng = generator(split, preprocessing.id, column.name, photograph, int(number))
    degraded = degrade(unit, task.degradation, [rng], preprocessing.noise_rounding)
    return Pair(
        column=column.name,
        task=task.name,
        image=image,
        photograph=photograph,
        degraded=np.ascontiguousarray(degraded[0].transpose(1, 2, 0)),
        clean=np.ascontiguousarray(unit[0].transpose(1, 2, 0)),
    )


@dataclass(frozen=True)
class SyntheticPairs:
    """Makes the test pairs of a synthetic twin."""

    cards: Path
    test: TestSet

    def data_set(self, column: str) -> str:
        """Return the name of the data set: the synthetic version of a setting has one."""
        return "synthetic"

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield (column, image) of every pair, in order."""
        return pair_names(self.test.columns, [p.name for p in self.test.photographs])

    def make(self, column: str, image: str) -> Pair:
        """Make a pair; see :func:`make_pair`."""
        test = self.test
        of_name = next(c for c in test.columns if c.name == column)
        return make_pair(
            self.cards, "test", of_name, test.tasks, image, test.preprocessing, test.centre_px
        )
