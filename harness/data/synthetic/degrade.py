"""Degrading a batch of images, keyed per sample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.config.degradation import Degradation
from harness.config.errors import HarnessError, reason_of
from harness.config.preprocessing import NoiseRounding
from harness.data.images.arrays import Float
from harness.data.synthetic.degradations.noise import Noise, add_noise


def degrade(
    clean: Float,
    degradation: Degradation,
    rngs: Sequence[np.random.Generator],
    noise_rounding: NoiseRounding,
) -> Float:
    """Degrade a batch.

    A sample depends on its image and its generator alone, bit for bit, whatever else is in the
    batch.

    Args:
        clean: (N, 3, H, W) float32 RGB in [0, 1], at least 16 pixels on each side.
        degradation: its kind and the ranges its parameters are drawn from.
        rngs: one generator per sample.
        noise_rounding: how images with noise alone become 8-bit.

    Returns:
        (N, 3, H, W) float32 in [0, 1]; all but noise rounded to 8 bits, as saved files are.

    Raises:
        HarnessError: a degradation of a plug-in ends the process.
    """
    if isinstance(degradation, Noise):
        return add_noise(clean, degradation, rngs, noise_rounding)
    try:
        degraded = degradation.apply(clean, rngs)
    except SystemExit as error:  # in a plug-in it would end a loader worker without a word
        name = type(degradation).__name__
        raise HarnessError(f"degradation {name} failed: {reason_of(error)}") from error
    return (np.rint(np.clip(degraded, 0, 1) * 255) / np.float32(255)).astype(np.float32)
