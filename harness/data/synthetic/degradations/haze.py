"""Haze by the atmospheric scattering model (Koschmieder; Narasimhan and Nayar, IJCV 2002).

I = J t + A (1 - t) with t = exp(-beta d). ``beta`` is per unit of the depth map, whose
farthest point is 1; ``airlight`` is grey with a tint of at most 0.02 per channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.config.degradation import Degradation
from harness.config.spec import Range, within
from harness.data.images.arrays import Float
from harness.data.synthetic.depth import depth_maps
from harness.data.synthetic.draws import uniform

_TINT = 0.02


class Haze(Degradation):
    """Atmospheric scattering: ``I = J t + A (1 - t)``, ``t = exp(-beta d)``, ``d`` in [0, 1].

    Attributes:
        beta: scattering coefficient, per unit of depth.
        airlight: grey of the haze, in [0, 1].
    """

    version: ClassVar[int] = 1
    kind: Literal["haze"]
    beta: Annotated[Range, within(0, 100)]
    airlight: Annotated[Range, within(0, 1)]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return add_haze(clean, self, rngs)


def add_haze(
    clean: NDArray[np.float32], ranges: Haze, rngs: Sequence[np.random.Generator]
) -> NDArray[np.float32]:
    """Veil (N, 3, H, W) in [0, 1]; returns the same shape, not rounded."""
    betas: list[float] = []
    airlights: list[NDArray[np.float64]] = []
    for rng in rngs:
        beta, grey = uniform(rng, ranges.beta, ranges.airlight)
        tint = rng.uniform(-_TINT, _TINT, 3)
        betas.append(beta)
        airlights.append(grey + tint)
    light = np.array(airlights, dtype=np.float32).clip(0, 1)
    depth = depth_maps(clean.shape[2], clean.shape[3], rngs)
    return scatter(clean, depth, np.array(betas, dtype=np.float32), light)


def scatter(
    clean: NDArray[np.float32],
    depth: NDArray[np.float32],
    beta: NDArray[np.float32],
    airlight: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Apply the model to (N, 3, H, W) with depth (N, H, W), beta (N,) and airlight (N, 3)."""
    transmission = np.exp(-beta[:, None, None] * depth)[:, None]
    hazy: NDArray[np.float32] = clean * transmission + airlight[:, :, None, None] * (
        1 - transmission
    )
    return hazy
