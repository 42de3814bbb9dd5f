"""Types of images in memory."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
"""float32 values in [0, 1]: (H, W, 3), or (N, 3, H, W) in a batch."""

Image8 = NDArray[np.uint8]
"""(H, W, 3) uint8 RGB, values as a file stores them."""

Image16 = NDArray[np.uint16]
"""(H, W) or (H, W, C) uint16, values as a file stores them."""

Number = TypeVar("Number", bound=np.generic)
"""Kind of the numbers of an array that goes through a function unchanged."""
