"""Degradations of the synthetic twins, keyed per sample; docs/degradations.md describes them.

A sample depends on its image and its generator alone, bit for bit, whatever stands beside it in
a batch. An image may be a crop of a larger one: nothing assumes that it shows a whole scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from harness.data.degradations.defocus import defocus
from harness.data.degradations.gaussian_blur import blur
from harness.data.degradations.haze import add_haze
from harness.data.degradations.jpeg import compress
from harness.data.degradations.low_light import darken
from harness.data.degradations.motion_blur import shake
from harness.data.degradations.noise import add_noise
from harness.data.degradations.rain import add_rain
from harness.data.degradations.raindrops import add_raindrops
from harness.data.degradations.resample import resample
from harness.data.degradations.snow import add_snow
from harness.spec import (
    ComposedRange,
    DefocusRange,
    DegradationRange,
    GaussianBlurRange,
    HazeRange,
    JpegRange,
    LowLightRange,
    MotionBlurRange,
    NoiseRange,
    NoiseRounding,
    RaindropsRange,
    RainRange,
    ResampleRange,
    SnowRange,
)

Float = NDArray[np.float32]


def degrade(
    clean: Float,
    ranges: DegradationRange,
    rngs: Sequence[np.random.Generator],
    noise_rounding: NoiseRounding,
) -> Float:
    """Degrade a batch.

    Args:
        clean: (N, 3, H, W) float32 RGB in [0, 1], at least 16 pixels on each side.
        ranges: kind of degradation and the ranges its parameters are drawn from.
        rngs: one generator per sample.
        noise_rounding: how images with noise alone become 8-bit.

    Returns:
        (N, 3, H, W) float32 in [0, 1]; all but noise rounded to 8 bits, as saved files are.
    """
    if isinstance(ranges, NoiseRange):
        return add_noise(clean, ranges, rngs, noise_rounding)
    degraded = unrounded(clean, ranges, rngs)
    return (np.rint(np.clip(degraded, 0, 1) * 255) / np.float32(255)).astype(np.float32)


def unrounded(clean: Float, ranges: DegradationRange, rngs: Sequence[np.random.Generator]) -> Float:
    """Return what :func:`degrade` rounds: (N, 3, H, W) float32 in [0, 1]."""
    match ranges:
        case NoiseRange():
            return add_noise(clean, ranges, rngs, "none")
        case HazeRange():
            return add_haze(clean, ranges, rngs)
        case RainRange():
            return add_rain(clean, ranges, rngs)
        case GaussianBlurRange():
            return blur(clean, ranges, rngs)
        case DefocusRange():
            return defocus(clean, ranges, rngs)
        case MotionBlurRange():
            return shake(clean, ranges, rngs)
        case LowLightRange():
            return darken(clean, ranges, rngs)
        case SnowRange():
            return add_snow(clean, ranges, rngs)
        case RaindropsRange():
            return add_raindrops(clean, ranges, rngs)
        case JpegRange():
            return compress(clean, ranges, rngs)
        case ResampleRange():
            return resample(clean, ranges, rngs)
        case ComposedRange():
            degraded = clean
            for part in ranges.parts:
                degraded = unrounded(degraded, part, rngs)
            return degraded
        case _:
            assert_never(ranges)
