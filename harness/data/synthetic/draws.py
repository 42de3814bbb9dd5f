"""Drawing parameters from their ranges."""

from __future__ import annotations

import numpy as np

from harness.config.spec import Range


def uniform(rng: np.random.Generator, *ranges: Range) -> list[float]:
    """Draw one number uniformly from each range, in their order."""
    return [rng.uniform(*bounds) for bounds in ranges]
