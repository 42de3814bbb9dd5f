"""Writing TIFF files of 8 and 16 bits, which Pillow writes of 8 bits alone in colour.

Follows TIFF 6.0 with deflate (Adobe's compression 8), all rows in one strip. Pillow lays out the
directory of tags.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

_ADOBE_DEFLATE = 8
_UNASSOCIATED_ALPHA = 2
_BYTE, _LONG, _UNDEFINED = 1, 4, 7
_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_COUNTS = 273, 277, 278, 279
_X_RESOLUTION, _Y_RESOLUTION, _PLANAR, _RESOLUTION_UNIT = 282, 283, 284, 296
_PREDICTOR, _EXTRA_SAMPLES, _ICC = 317, 338, 34675
_INCH = 2


def tiff_bytes(
    channels: NDArray[Any],
    tags: Mapping[int, Any],
    blobs: Mapping[int, bytes],
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """Return a TIFF file.

    Args:
        channels: (H, W, C) uint8 or uint16; C is 1 or 3, and one more with alpha.
        tags: further tags, such as those of EXIF; inner directories are mappings.
        blobs: tags whose values are bytes: colour profile, XMP.
        dpi: dots per inch, where ``tags`` do not state them.
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    height, width, count = channels.shape
    strip = zlib.compress(_differences(channels), 6)
    directory = ImageFileDirectory_v2(prefix=b"II")
    for tag, value in tags.items():
        directory[tag] = value
    for tag, blob in blobs.items():
        directory.tagtype[tag] = _UNDEFINED if tag == _ICC else _BYTE
        directory[tag] = blob
    if dpi is not None and _X_RESOLUTION not in directory:
        directory[_X_RESOLUTION], directory[_Y_RESOLUTION] = dpi
        directory[_RESOLUTION_UNIT] = _INCH
    directory[_WIDTH], directory[_LENGTH] = width, height
    directory[_BITS] = (8 * channels.itemsize,) * count
    directory[_COMPRESSION], directory[_PREDICTOR] = _ADOBE_DEFLATE, 2
    directory[_PHOTOMETRIC] = 1 if count < 3 else 2
    directory[_SAMPLES], directory[_PLANAR], directory[_ROWS_PER_STRIP] = count, 1, height
    if count in (2, 4):
        directory[_EXTRA_SAMPLES] = _UNASSOCIATED_ALPHA
    directory.tagtype[_STRIP_OFFSETS] = directory.tagtype[_STRIP_COUNTS] = _LONG
    # Pillow adds the length of the directory, which the one strip follows.
    directory[_STRIP_OFFSETS], directory[_STRIP_COUNTS] = 0, len(strip)
    file = io.BytesIO()
    directory.save(file)
    return file.getvalue() + strip


def _differences(rows: NDArray[Any]) -> bytes:
    """Return rows (N, W, C) as differences of neighbouring pixels (TIFF 6.0, section 14)."""
    changes = rows.copy()
    changes[:, 1:] -= rows[:, :-1]
    little = changes.astype(changes.dtype.newbyteorder("<"), copy=False)
    return little.tobytes()
