"""What a source supplies: a clean image and, if a file has it, its degraded version.

All that differs between synthetic images and files on disk is behind these two protocols.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.config.seeding import KeyPart
from harness.config.settings import Task
from harness.data.images.arrays import Image8


@dataclass(frozen=True)
class Original:
    """A clean image and, where a file has it, its degraded version.

    Attributes:
        key: what the image's degradation is drawn by; begins with the clean image's name.
        where: what error messages call it.
        clean: (H, W, 3) uint8.
        degraded: the same size; None where the task's degradation is to be applied.
    """

    key: tuple[KeyPart, ...]
    where: str
    clean: Image8
    degraded: Image8 | None = None


class TrainingImages(Protocol):
    """Images that are trained on, and those that are held out for validation."""

    def choose(self, task: Task, index: int, rng: np.random.Generator) -> Original:
        """Choose the image of sample ``index`` of the training."""
        ...

    def version(self, original: Original, task: Task) -> Original:
        """Return the image of ``original`` as ``task`` degrades it.

        Raises:
            HarnessError: the task's degraded images are files, and none is of this image.
        """
        ...

    def held_out(self, task: Task) -> Sequence[Original]:
        """Return the validation images of a task."""
        ...


class TestImages(Protocol):
    """Images that are tested on."""

    def data_set(self, column: str) -> str:
        """Return the name of the data set that fills a column, as ``CBSD68`` or ``synthetic``."""
        ...

    def read(self, column: str, image: str) -> Original:
        """Read an image."""
        ...
