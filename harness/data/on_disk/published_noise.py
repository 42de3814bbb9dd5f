"""Noise as the published three-task code draws it: one NumPy stream, in folder order.

AirNet, PromptIR and AdaIR seed NumPy with 0 once (test.py) and then draw noise image by image,
first all images at sigma 15, then all at 25, then all at 50, without seeding again
(utils/dataset_utils.py). So the noise of an image depends on its place in the folder, on the sizes
of those before it, and on the levels that ran before. MoCE-IR draws likewise, over sorted names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.data.images.arrays import Image8

PUBLISHED_ORDER_255 = (15.0, 25.0, 50.0)


@dataclass(frozen=True)
class NoisyImage:
    """Image number ``index`` of the folder, (H, W, 3) uint8, with noise of ``sigma_255``."""

    sigma_255: float
    index: int
    degraded: Image8


def published_noise(
    clean: Sequence[Image8],
    sigmas_255: Sequence[float] = PUBLISHED_ORDER_255,
    seed: int = 0,
) -> Iterator[NoisyImage]:
    """Yield every image at the first level, then every image at the second, and so on.

    The published rule: ``clean + randn(*clean.shape) * sigma`` in grey levels, clipped to
    [0, 255] and cast to uint8, which truncates. A result can only be had after all before it, since
    they share the stream; for one level alone the earlier levels are drawn as well.

    Args:
        clean: (H, W, 3) uint8 in folder order, already cut to multiples of 16. The sequence is
            passed through once per level, so it may read its images when asked.
        sigmas_255: levels in the order in which they are tested, in grey levels.
        seed: of NumPy's legacy generator; published code uses 0.
    """
    # A stream of its own gives the numbers of np.random.seed and np.random.randn; NumPy has
    # frozen both.
    stream = np.random.RandomState(seed)
    for sigma in sigmas_255:
        for index, image in enumerate(clean):
            noise = stream.randn(*image.shape)
            noisy = np.clip(image + noise * sigma, 0, 255).astype(np.uint8)
            yield NoisyImage(sigma, index, noisy)
