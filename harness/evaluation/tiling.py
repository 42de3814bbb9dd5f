"""Restoring an image in overlapping tiles, for images whose restoration does not fit into memory.

A tile is restored with context around it, of which most is dropped; neighbours are blended where
they meet, linearly over some pixels. Tiles begin at multiples of :data:`ALIGNMENT_PX`, so that
networks which halve the sides, or cut windows, see the same grid as in the whole image, and tiles
at the border end with the image. A network whose output pixel depends on no pixel farther away
than ``context_px - blend_px / 2`` gives the values that it gives of the whole image, up to the
rounding of sums. Other networks (global pooling, attention or routing over all pixels) do not:
:class:`Seams` says by how much two tiles differ where they meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError
from harness.data.images.arrays import Float

ALIGNMENT_PX = 64
"""Tiles begin at multiples of it: a multiple of every network's size multiple and window."""
CONTEXT_PX = 64
BLEND_PX = 32
_LEVELS = 255.0

Restore = Callable[[Float], Float]
"""Restores (H, W, 3) float32 in [0, 1] to the same shape."""
Stored = NDArray[np.uint8] | NDArray[np.uint16] | Float
"""(H, W, 3) values as a file stores them, or floats in [0, 1]."""
OnPixels = Callable[[int], object]
"""Hears how many more pixels of the image are restored."""


@dataclass(frozen=True)
class Tiling:
    """How an image is cut.

    Attributes:
        height_px: rows of a tile at most, its context included.
        width_px: columns at most, context included.
        context_px: what a tile sees on each side of its own part; a multiple of
            :data:`ALIGNMENT_PX`.
        blend_px: width of the strip over which neighbours are blended, at most the context.

    Raises:
        ValueError: the context is no such multiple, or the tile is not larger than its context.
    """

    height_px: int
    width_px: int
    context_px: int = CONTEXT_PX
    blend_px: int = BLEND_PX

    def __post_init__(self) -> None:
        if self.context_px % ALIGNMENT_PX or self.context_px <= 0:
            raise ValueError(f"the context must be a multiple of {ALIGNMENT_PX} pixels")
        if min(self.height_px, self.width_px) < least_side_px(self.context_px):
            raise ValueError(f"a tile has at least {least_side_px(self.context_px)} pixels a side")
        if self.blend_px % 2 or not 0 < self.blend_px <= ALIGNMENT_PX:
            raise ValueError(f"tiles are blended over an even number up to {ALIGNMENT_PX}")

    def count(self, height: int, width: int) -> int:
        """Return how many tiles an image has."""
        down = _spans(height, self.height_px, self)
        across = _spans(width, self.width_px, self)
        return len(down) * len(across)


def least_side_px(context_px: int) -> int:
    """Return the least side of a tile with this context."""
    return 2 * context_px + ALIGNMENT_PX


@dataclass
class Seams:
    """How much neighbouring tiles differ before they are blended, in grey levels of 255.

    Attributes:
        largest: absolute difference of one value.
        total: sum of the absolute differences.
        values: how many values two tiles share.
    """

    largest: float = 0.0
    total: float = 0.0
    values: int = 0

    @property
    def mean(self) -> float:
        """Mean absolute difference; 0 where there is one tile."""
        return self.total / self.values if self.values else 0.0

    def add(self, first: Float, second: Float) -> None:
        """Count the values of two tiles for the same pixels."""
        difference = np.abs(first - second) * _LEVELS
        self.largest = max(self.largest, float(difference.max(initial=0.0)))
        self.total += float(difference.sum(dtype=np.float64))
        self.values += difference.size


@dataclass(frozen=True)
class _Span:
    """One tile along one axis.

    Attributes:
        read: what the network sees.
        kept: what is kept of the result: the tile's own part and half of each blend.
    """

    read: slice
    kept: slice


def tiling_within(
    height: int, width: int, pixels: int, context_px: int = CONTEXT_PX
) -> Tiling | None:
    """Return tiles of at most ``pixels`` pixels; None where the whole image is no larger.

    Raises:
        HarnessError: the smallest tile has more pixels.
    """
    if height * width <= pixels:
        return None
    least = least_side_px(context_px)
    side = _aligned(math.isqrt(pixels))
    if width <= side:
        tile_width, tile_height = width, _aligned(pixels // width)
    elif height <= side:
        tile_width, tile_height = _aligned(pixels // height), height
    else:
        tile_width = tile_height = side
    if side < least:
        raise HarnessError(
            f"tiles of {side}x{side} pixels are all that fits, and {least}x{least} are needed; "
            "allow more with --memory, or use --device cpu"
        )
    return Tiling(max(least, tile_height), max(least, tile_width), context_px)


def _aligned(length: int) -> int:
    return length // ALIGNMENT_PX * ALIGNMENT_PX


def restored_rows(
    restore: Restore, image: Stored, tiling: Tiling, seams: Seams, on_pixels: OnPixels
) -> Iterator[Float]:
    """Yield the rows of the restored image from the top, some at a time, (rows, W, 3) float32.

    Args:
        restore: restores one tile.
        image: (H, W, 3).
        tiling: how it is cut.
        seams: counts how much tiles differ where they meet.
        on_pixels: hears of each tile, in pixels that are new.
    """
    height, width = image.shape[:2]
    down = _spans(height, tiling.height_px, tiling)
    across = _spans(width, tiling.width_px, tiling)

    def columns(rows: _Span) -> Iterator[Float]:
        for span in across:
            restored = restore(as_unit(image[rows.read, span.read]))
            kept = restored[_inside(rows), _inside(span)]
            on_pixels(kept.shape[0] * kept.shape[1])
            yield np.ascontiguousarray(kept.swapaxes(0, 1))

    def strips() -> Iterator[Float]:
        for rows in down:
            pieces = list(_joined(columns(rows), across, tiling.blend_px, seams))
            yield np.concatenate(pieces).swapaxes(0, 1)

    yield from _joined(strips(), down, tiling.blend_px, seams)


def restore_tiled(restore: Restore, image: Float, tiling: Tiling) -> tuple[Float, Seams]:
    """Restore an image in tiles; return it, (H, W, 3) float32, and how much the tiles differed."""
    seams = Seams()
    rows = list(restored_rows(restore, image, tiling, seams, lambda _: None))
    return np.concatenate(rows), seams


def as_unit(values: Stored) -> Float:
    """Return values of a file as float32 in [0, 1]; floats as they are, contiguous."""
    if values.dtype != np.float32:
        most = np.float32(255 if values.dtype == np.uint8 else 65535)
        return np.divide(values, most, dtype=np.float32)
    return np.ascontiguousarray(values, dtype=np.float32)


def _spans(length: int, tile: int, tiling: Tiling) -> list[_Span]:
    """Cut an axis into tiles of about the same size that begin at multiples of the alignment."""
    context, half = tiling.context_px, tiling.blend_px // 2
    if length <= tile:
        return [_Span(slice(0, length), slice(0, length))]
    most = _aligned(tile - 2 * context)
    count = math.ceil(length / most)
    step = math.ceil(length / count / ALIGNMENT_PX) * ALIGNMENT_PX
    spans: list[_Span] = []
    for begin in range(0, length, step):
        end = min(length, begin + step)
        read = slice(max(0, begin - context), min(length, end + context))
        kept = slice(max(0, begin - half), min(length, end + half))
        spans.append(_Span(read, kept if end < length else slice(kept.start, length)))
    return spans


def _inside(span: _Span) -> slice:
    """Return what is kept, counted from the beginning of what was read."""
    return slice(span.kept.start - span.read.start, span.kept.stop - span.read.start)


def _joined(
    parts: Iterable[Float], spans: Sequence[_Span], blend_px: int, seams: Seams
) -> Iterator[Float]:
    """Yield consecutive pieces of what overlapping parts (L, ...) are when they are blended."""
    left: Float | None = None
    for number, part in enumerate(parts):
        shared = 0
        if left is not None:
            shared = left.shape[0]
            head = part[:shared]
            seams.add(left, head)
            yield left + _ramp(shared, blend_px)[:, None, None] * (head - left)
        following = spans[number + 1].kept.start if number + 1 < len(spans) else None
        end = part.shape[0]
        if following is not None:
            end = following - spans[number].kept.start
        yield part[shared:end]
        left = part[end:]


def _ramp(count: int, blend_px: int) -> Float:
    """Return the weights of the following part, which rise from 0 to 1."""
    weights: Float = (np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(blend_px)
    return weights
