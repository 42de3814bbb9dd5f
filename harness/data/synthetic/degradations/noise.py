"""Gaussian noise as the published three-task code adds it.

PromptIR (va1shn9v/PromptIR, utils/degradation_utils.py) adds N(0, sigma) to 8-bit values,
clips to [0, 255] and casts to uint8, which truncates: the mean falls by half a grey level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.config.degradation import Degradation
from harness.config.preprocessing import NoiseRounding
from harness.config.spec import Range, within
from harness.data.images.arrays import Float


class Noise(Degradation):
    """White Gaussian noise.

    Attributes:
        sigma_255: standard deviation in grey levels of 8-bit images.
    """

    version: ClassVar[int] = 1
    kind: Literal["noise"]
    sigma_255: Annotated[Range, within(0, 1000)]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return add_noise(clean, self, rngs, "none")


def add_noise(
    clean: NDArray[np.float32],
    ranges: Noise,
    rngs: Sequence[np.random.Generator],
    rounding: NoiseRounding,
) -> NDArray[np.float32]:
    """Add noise to (N, 3, H, W) in [0, 1]; returns the same shape.

    Args:
        clean: images.
        ranges: range of the standard deviation.
        rngs: one generator per image.
        rounding: how noise meets the range of 8-bit images; see :data:`NoiseRounding`.
    """
    noise = np.empty_like(clean)
    for row, rng in zip(noise, rngs, strict=True):
        sigma = np.float32(rng.uniform(*ranges.sigma_255))
        row[...] = sigma * rng.standard_normal(row.shape, dtype=np.float32)
    noisy: NDArray[np.float32] = np.rint(clean * np.float32(255)) + noise
    if rounding != "unclipped":
        np.clip(noisy, 0, 255, out=noisy)
    if rounding == "truncate":
        noisy = np.floor(noisy)
    elif rounding == "round":
        noisy = np.rint(noisy)
    noisy /= np.float32(255)
    return noisy
