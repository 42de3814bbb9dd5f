"""Linear light, which a sensor counts, and display values, which a file stores.

Blur of a moving or unfocused camera averages light. Cameras' curves differ; a power of 2.2 is
the approximation that GoPro's blurred frames are averaged under (Nah et al., CVPR 2017).
"""

from __future__ import annotations

import numpy as np

from harness.data.images.arrays import Float

_POWER = 2.2


def to_linear(image: Float) -> Float:
    """Return linear light of display values, both in [0, 1], of any shape."""
    return np.power(np.clip(image, 0, 1), np.float32(_POWER), dtype=np.float32)


def to_display(light: Float) -> Float:
    """Return display values of linear light; other values are clipped to [0, 1]."""
    return np.power(np.clip(light, 0, 1), np.float32(1 / _POWER), dtype=np.float32)


def pixels(image: Float) -> Float:
    """Return a (3, H, W) image as contiguous (H, W, 3), as OpenCV expects it."""
    return np.ascontiguousarray(image.transpose(1, 2, 0))
