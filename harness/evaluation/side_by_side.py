"""Degraded, restored and clean image side by side, for people who watch a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from harness.data.images.arrays import Float, Image8
from harness.data.images.crops import centre_crop
from harness.data.sources.samples import Pair
from harness.evaluation.evaluate import Name, OnRestored
from harness.evaluation.protocols import eight_bits

SIDE_PX = 256
"""At most so much of each image is shown, around its centre."""


def side_by_side(pair: Pair, restored: Float) -> Image8:
    """Return degraded, restored and clean image next to each other; what is no number is black."""
    parts: list[Image8] = []
    for image in (pair.degraded, np.nan_to_num(restored), pair.clean):
        parts.append(eight_bits(centre_crop(image, 1, SIDE_PX)))
    return np.concatenate(parts, axis=1)


def showing_first(
    names: Iterable[Name], show: Callable[[str, Image8], None], then: OnRestored
) -> OnRestored:
    """Return what is done with a restored image: ``then``, and the first of a column is shown.

    Args:
        names: column and image of all test pairs, in their order.
        show: receives ``COLUMN IMAGE`` and the images side by side.
        then: receives every image.
    """
    first: dict[str, str] = {}
    for column, image in names:
        first.setdefault(column, image)

    def on_restored(pair: Pair, restored: Float) -> None:
        then(pair, restored)
        if first.get(pair.column) == pair.image:
            show(f"{pair.column} {pair.image}", side_by_side(pair, restored))

    return on_restored
