"""Array types of metrics, and the check that two images have one size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError

Image = NDArray[np.floating]
"""(H, W, 3) RGB of any floating type, in [0, 1] unless said otherwise."""

Float64 = NDArray[np.float64]


class ImageTooSmallError(HarnessError):
    """A protocol or a metric cannot measure an image, because it has too few pixels."""


def check_same_size(restored: Image, clean: Image) -> None:
    """Refuse two images whose sizes differ.

    Raises:
        HarnessError: the message names both sizes.
    """
    if restored.shape != clean.shape:
        raise HarnessError(
            f"restored and clean image differ in size: {restored.shape[1]}x{restored.shape[0]} "
            f"and {clean.shape[1]}x{clean.shape[0]}; a method must return the size of its input"
        )
