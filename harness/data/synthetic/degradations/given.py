"""Degraded images that come with the files, such as real noise or real weather in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from harness.config.degradation import Degradation
from harness.config.errors import HarnessError
from harness.data.images.arrays import Float


class Given(Degradation):
    """Nothing is added: the degraded image of a pair is its file.

    A task of this kind needs data sets on disk whose layouts have degraded images. Its setting
    has no synthetic version.
    """

    version: ClassVar[int] = 1
    kind: Literal["given"]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """Refuse.

        Raises:
            HarnessError: always; there is no file for the image.
        """
        raise HarnessError(
            "a degradation of kind 'given' comes with files and is not computed; add --data-root, "
            "and name data sets that hold pairs"
        )
