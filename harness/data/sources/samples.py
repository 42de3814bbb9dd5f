"""What sources hand out: batches of training samples, and test pairs."""

from __future__ import annotations

from dataclasses import dataclass

from harness.data.images.arrays import Float


@dataclass(frozen=True)
class Samples:
    """A batch of training samples.

    Attributes:
        degraded: (N, 3, H, W) float32 in [0, 1].
        clean: the same crops without degradation.
        tasks: N names.
        step: number of the batch.
        second_view: other degraded crops of the same images, for methods that ask for them.
        versions: (N, tasks - 1, 3, H, W), the same crops under each of the other tasks, in the
            order of the setting, for methods that ask for them.
    """

    degraded: Float
    clean: Float
    tasks: tuple[str, ...]
    step: int
    second_view: Float | None = None
    versions: Float | None = None


@dataclass(frozen=True)
class Pair:
    """One degraded test image and its clean original, both (H, W, 3) float32 in [0, 1].

    Attributes:
        column: the column that it counts in.
        task: its degradation.
        image: unique within ``column``.
        photograph: name of the clean image, which several pairs may share.
        degraded: the input of a restorer.
        clean: what the restored image is compared to.
    """

    column: str
    task: str
    image: str
    photograph: str
    degraded: Float
    clean: Float
