"""Degradations of the synthetic twins: vectorised over a batch, keyed per sample.

Only the drawing of parameters and fields runs sample by sample, each from its own generator;
so a sample depends on its image and its generator alone, whatever stands beside it in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.degradations.haze import add_haze
from harness.data.degradations.noise import add_noise
from harness.data.degradations.rain import add_rain
from harness.spec import DegradationRange, HazeRange, NoiseRange

Float = NDArray[np.float32]
Rounding = Literal["truncate", "round", "none"]


def degrade(
    clean: Float,
    ranges: DegradationRange,
    rngs: Sequence[np.random.Generator],
    noise_rounding: Rounding,
) -> Float:
    """Degrade a batch.

    Args:
        clean: (N, 3, H, W) float32 RGB in [0, 1].
        ranges: kind of degradation and the ranges its parameters are drawn from.
        rngs: one generator per sample.
        noise_rounding: how noisy images become 8-bit.

    Returns:
        (N, 3, H, W) float32 in [0, 1]; haze and rain rounded to 8 bits, as saved files are.
    """
    if isinstance(ranges, NoiseRange):
        return add_noise(clean, ranges, rngs, noise_rounding)
    degraded = (
        add_haze(clean, ranges, rngs)
        if isinstance(ranges, HazeRange)
        else add_rain(clean, ranges, rngs)
    )
    return (np.rint(np.clip(degraded, 0, 1) * 255) / np.float32(255)).astype(np.float32)
