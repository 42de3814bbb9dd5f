"""Poolings: how features (N, C, H, W) become the numbers that a router sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

BANDS = 3
"""Octave bands of ``frequency_bands``."""

_VARIANCE_EPSILON = 1e-9
_LEAST_MAGNITUDE = 1e-3


def mean(x: Tensor) -> Tensor:
    """Return the mean of each channel, (N, C); PromptIR's pooling."""
    return x.mean(dim=(-2, -1))


def mean_and_deviation(x: Tensor) -> Tensor:
    """Return mean and standard deviation of each channel over its pixels, (N, 2C)."""
    deviation = x.var(dim=(-2, -1), correction=0).add(_VARIANCE_EPSILON).sqrt()
    return torch.cat([mean(x), deviation], dim=1)


def frequency_bands(x: Tensor) -> Tensor:
    """Return the logarithms of the mean magnitudes in octave bands, from the finest, (N, 3C).

    The bands are differences of averages over squares of 1, 2, 4 and 8 pixels. Where the features
    are too small for a band, it counts as empty. A degradation multiplies the magnitude of bands,
    so in logarithms it adds a constant to what the image's content gives.
    """
    magnitudes, finer = [], x
    for _ in range(BANDS):
        height, width = finer.shape[-2:]
        if min(height, width) < 2:
            magnitudes.append(x.new_zeros(x.shape[:2]))
            continue
        finer = finer[..., : height // 2 * 2, : width // 2 * 2]
        coarser = F.avg_pool2d(finer, 2)
        detail = finer - F.interpolate(coarser, scale_factor=2)
        magnitudes.append(mean_magnitude(detail))
        finer = coarser
    return torch.cat([log_magnitude(magnitude) for magnitude in magnitudes], dim=1)


def mean_magnitude(x: Tensor) -> Tensor:
    """Return the mean absolute value of each channel of (N, C, H, W), (N, C)."""
    return x.abs().mean(dim=(-2, -1))


def log_magnitude(magnitude: Tensor) -> Tensor:
    """Return the logarithm of a magnitude, which stays finite at zero."""
    return (magnitude + _LEAST_MAGNITUDE).log()


_POOLINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mean": mean,
    "mean-deviation": mean_and_deviation,
    "frequency": frequency_bands,
}

NUMBERS_PER_CHANNEL: Mapping[str, int] = {"mean": 1, "mean-deviation": 2, "frequency": BANDS}
"""How many numbers each kind of pooling returns per channel."""


def pooling(x: Tensor, kind: str) -> Tensor:
    """Pool features (N, C, H, W) to (N, C times :data:`NUMBERS_PER_CHANNEL`).

    ``kind`` is ``mean``, ``mean-deviation`` or ``frequency``: see :func:`mean`,
    :func:`mean_and_deviation` and :func:`frequency_bands`.
    """
    return _POOLINGS[kind](x)
