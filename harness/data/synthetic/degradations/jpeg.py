"""JPEG by a real encoder, in memory.

MiOIR compresses with qualities from 30 to 70. A training crop comes from anywhere in an image,
so the corner of the 16-pixel grid of blocks is drawn too.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np

from harness.config.degradation import Degradation
from harness.config.spec import Range, within
from harness.data.images.arrays import Float

_BLOCK_PX = 16
"""Side of what is coded together: 8-pixel blocks of chroma at half resolution."""


class Jpeg(Degradation):
    """JPEG with 4:2:0 chroma.

    Attributes:
        quality: integer in libjpeg's scale from 1 to 100.
    """

    version: ClassVar[int] = 1
    kind: Literal["jpeg"]
    quality: Annotated[Range, within(1, 100)]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return compress(clean, self, rngs)


def compress(clean: Float, ranges: Jpeg, rngs: Sequence[np.random.Generator]) -> Float:
    """Encode and decode (N, 3, H, W) in [0, 1]; returns the same shape, on the 8-bit grid."""
    from PIL import Image

    decoded = np.empty_like(clean)
    for image, target, rng in zip(clean, decoded, rngs, strict=True):
        quality = int(np.rint(rng.uniform(*ranges.quality)))
        above, before = rng.integers(_BLOCK_PX, size=2).tolist()
        levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
        whole = np.pad(levels, ((above, 0), (before, 0), (0, 0)), mode="symmetric")
        file = io.BytesIO()
        Image.fromarray(whole).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        with Image.open(file) as read:
            pixels = np.asarray(read)[above:, before:]
        np.divide(pixels.transpose(2, 0, 1), np.float32(255), out=target, dtype=np.float32)
    return decoded
