"""Images that show the same scene twice: between two data sets, or inside one.

Every image gets a 64-bit hash of its coarse structure (the signs of low cosine coefficients, after
Zauner 2010, "Implementation and benchmarking of perceptual image hash functions"). Hashes that
are close, in any of the eight symmetries of the square, are only candidates; a match is reported
when small versions of both images correlate, as a whole and in what is left without the coarse
structure. Two images with the same sky agree in the first and not in the second.

Not found: a part that was cut out of a larger image.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data.images.arrays import Float, Image8
from harness.data.images.crops import turn
from harness.data.images.read import read_image
from harness.data.parallel_map import OnProgress, map_files, no_progress

SMALL_PX = 64
_HASH_PX = 32
_HASH_SIDE = 8
# Among 268 photographs of streets, animals and people the nearest two that differ are 18 bits
# apart and correlate by 0.88 as a whole, by 0.38 in detail. Copies as JPEG of quality 20, at half
# size, under noise of 25 grey levels or another gamma keep both above 0.9, and nine of ten that
# lost 8 of 321 rows and columns at one side keep detail above 0.8.
HASH_DISTANCE_BITS = 14
CORRELATION = 0.85
DETAIL_CORRELATION = 0.60
_LEAST_CONTRAST_255 = 1.0
_BLOCK = 4096
_TURNS = (
    "",
    "upside down",
    "turned by 90°",
    "turned by 90° and upside down",
    "turned by 180°",
    "mirrored",
    "turned by 270°",
    "turned by 270° and upside down",
)


@dataclass(frozen=True)
class Thumbnail:
    """What is compared of one image: ``small`` is (64, 64) float32 grey, stretched to a square."""

    data_set: str
    image: str
    path: Path
    pixels_sha256: str
    small: Float


@dataclass(frozen=True)
class Duplicate:
    """Two images that show the same scene.

    Attributes:
        first: the one image.
        second: the other.
        exact: whether their pixels are equal.
        correlation: of the small versions, 1 for equal pixels.
        turned: how the second lies to the first, empty if alike.
    """

    first: Thumbnail
    second: Thumbnail
    exact: bool
    correlation: float
    turned: str


def read_thumbnails(
    data_set: str, images: Sequence[tuple[str, Path]], on_progress: OnProgress = no_progress
) -> list[Thumbnail]:
    """Read (name, file) of images and return what is compared, several at a time.

    Raises:
        HarnessError: an image cannot be read; names it.
    """

    def thumbnail(entry: tuple[str, Path]) -> Thumbnail:
        image, path = entry
        pixels = read_image(path)
        digest = hashlib.sha256(str(pixels.shape).encode())
        digest.update(pixels.tobytes())
        return Thumbnail(data_set, image, path, digest.hexdigest(), _small(pixels))

    return map_files(thumbnail, images, on_progress)


def find_duplicates(first: Sequence[Thumbnail], second: Sequence[Thumbnail]) -> list[Duplicate]:
    """Return every pair of one image of ``first`` and one of ``second`` that is the same scene.

    If both are the same list, pairs inside it, each once. Sorted by the names of the images.
    """
    if not first or not second:
        return []
    found = _near_matches(first, second)
    found |= _exact_matches(first, second)
    return sorted(found.values(), key=lambda match: (match.first.image, match.second.image))


Matches = dict[tuple[int, int], Duplicate]
"""Matches by the numbers of both images in their lists."""


def _exact_matches(first: Sequence[Thumbnail], second: Sequence[Thumbnail]) -> Matches:
    columns_of: dict[str, list[int]] = defaultdict(list)
    for column, thumbnail in enumerate(second):
        columns_of[thumbnail.pixels_sha256].append(column)
    found: Matches = {}
    for row, thumbnail in enumerate(first):
        for column in columns_of.get(thumbnail.pixels_sha256, []):
            if first is second and row >= column:
                continue
            found[row, column] = Duplicate(thumbnail, second[column], True, 1.0, "")
    return found


def _near_matches(first: Sequence[Thumbnail], second: Sequence[Thumbnail]) -> Matches:
    """Return the matches of each pair of images in the first symmetry that they match in."""
    bits_of_second = np.stack([_bits(thumbnail.small) for thumbnail in second])
    found: Matches = {}
    for mode, words in enumerate(_TURNS):
        turned = [_turned(thumbnail.small, mode) for thumbnail in first]
        bits = np.stack([_bits(small) for small in turned])
        candidates = _close_hashes(bits, bits_of_second)
        if first is second:
            candidates = _once(candidates)
        for row, column in candidates:
            equal = first[row].pixels_sha256 == second[column].pixels_sha256
            if equal or (row, column) in found:
                continue
            correlation = _verified(turned[row], second[column].small)
            if correlation is not None:
                match = Duplicate(first[row], second[column], False, correlation, words)
                found[row, column] = match
    return found


def _small(pixels: Image8) -> Float:
    """Average over areas to 64x64 grey, whatever the proportions."""
    from PIL import Image

    grey = Image.fromarray(pixels).convert("L").resize((SMALL_PX,) * 2, Image.Resampling.BOX)
    return np.asarray(grey, np.float32)


def _turned(small: Float, mode: int) -> Float:
    return np.ascontiguousarray(turn(small[..., None], mode)[..., 0])  # type: ignore[arg-type]


def _bits(small: Float) -> Float:
    """Return the 64 hash bits as +1 and -1."""
    from scipy.fft import dctn

    coarse = small.reshape(_HASH_PX, SMALL_PX // _HASH_PX, _HASH_PX, -1).mean(axis=(1, 3))
    # The first row and column hold means of stripes, which all landscapes share.
    low = dctn(coarse, norm="ortho")[1 : _HASH_SIDE + 1, 1 : _HASH_SIDE + 1].ravel()
    return np.where(low > np.median(low), np.float32(1), np.float32(-1))


def _close_hashes(first: Float, second: Float) -> list[tuple[int, int]]:
    """Return index pairs whose bits differ in few places: a product of matrices counts them."""
    least = first.shape[1] - 2 * HASH_DISTANCE_BITS
    found: list[tuple[int, int]] = []
    for start in range(0, len(first), _BLOCK):
        for other in range(0, len(second), _BLOCK):
            agreement = first[start : start + _BLOCK] @ second[other : other + _BLOCK].T
            rows, columns = np.nonzero(agreement >= least)
            found += zip((rows + start).tolist(), (columns + other).tolist(), strict=True)
    return found


def _once(candidates: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the index pairs inside one list, each once and none of an image with itself."""
    return [(row, column) for row, column in candidates if row < column]


def _verified(first: Float, second: Float) -> float | None:
    """Return the correlation if both images agree as a whole and in detail, else None."""
    from scipy.ndimage import gaussian_filter

    if min(first.std(), second.std()) < _LEAST_CONTRAST_255:
        return None  # nothing is visible on them that could be compared
    # Pixels of the small versions are not to decide: a cut edge moves them by one.
    first, second = gaussian_filter(first, 1.0), gaussian_filter(second, 1.0)
    whole = _correlation(first, second)
    if whole < CORRELATION:
        return None
    detail = _correlation(
        first - gaussian_filter(first, 4.0), second - gaussian_filter(second, 4.0)
    )
    return whole if detail >= DETAIL_CORRELATION else None


def _correlation(first: Float, second: Float) -> float:
    a = first.astype(np.float64) - first.mean(dtype=np.float64)
    b = second.astype(np.float64) - second.mean(dtype=np.float64)
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / norm) if norm > 0 else 0.0
