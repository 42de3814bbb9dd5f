"""Linear light: what a sensor counts, as against the display values of a file.

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
    """Return display values of linear light; what lies outside [0, 1] is clipped."""
    return np.power(np.clip(light, 0, 1), np.float32(1 / _POWER), dtype=np.float32)


def pixels(image: Float) -> Float:
    """Return a (3, H, W) image as contiguous (H, W, 3), as OpenCV takes it."""
    return np.ascontiguousarray(image.transpose(1, 2, 0))
