"""A batch of training samples as arrays."""

from __future__ import annotations

from dataclasses import dataclass

from harness.data.images.arrays import Float


@dataclass(frozen=True)
class Samples:
    """A batch as arrays: (N, 3, H, W) float32 in [0, 1], N task names, and the step.

    ``second_view`` holds other degraded crops of the same images, for methods that ask.
    """

    degraded: Float
    clean: Float
    tasks: tuple[str, ...]
    step: int
    second_view: Float | None = None
