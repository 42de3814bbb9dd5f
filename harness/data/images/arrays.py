"""Types of images in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
"""float32 values in [0, 1]: (H, W, 3), or (N, 3, H, W) in a batch."""

Image8 = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB, values as a file stores them."""
