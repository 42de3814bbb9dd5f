"""What an image file says beside its pixels, in the form in which a restored file says it again.

Pixels are written upright, so the orientation is left out (EXIF) or set to 1 (XMP), and the size
that EXIF states is that of the pixels. Preview images are left out: they show the degraded image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image as PillowImage

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_EXIF_WIDTH, _EXIF_HEIGHT = 0xA002, 0xA003
_XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG, _ICC_TAG = 700, 33723, 34377, 34675
_RESOLUTION = (282, 283, 296)

_OF_THE_OLD_FILE = frozenset(
    {
        *range(254, 267),  # size, bits, compression, photometric interpretation
        273,
        274,  # strips, orientation
        *range(277, 282),
        284,
        *range(288, 294),
        301,
        *range(317, 326),  # predictor, white point, tiles
        330,
        332,
        *range(334, 345),
        347,
        *range(512, 534),
        _XMP_TAG,
        _IPTC_TAG,
        _PHOTOSHOP_TAG,
        _ICC_TAG,
    }
)
"""TIFF 6.0 tags that describe how the old file stores its pixels, or that are kept elsewhere."""

_PNG_SIGNATURE_BYTES = 8
_PNG_COLOUR = (b"gAMA", b"cHRM", b"sRGB", b"cICP")
_PNG_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_PNG_OTHERS = (b"Raw profile type", b"XML:com.adobe.xmp")
"""Beginnings of texts that hold EXIF, IPTC or XMP."""
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>))\s*\d""")
_JPEG_PHOTOSHOP = "APP13"


@dataclass(frozen=True)
class Metadata:
    """What is kept of a file.

    Attributes:
        icc: colour profile.
        exif: EXIF as a TIFF structure, without the orientation.
        xmp: packet of XMP, its orientation set to 1.
        iptc: Photoshop's resources with IPTC, as in the segment APP13 of a JPEG file.
        comment: of a JPEG file.
        dpi: dots per inch, horizontally and vertically.
        png_chunks: colour space and texts of a PNG file: name and content of chunks.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    dpi: tuple[float, float] | None = None
    png_chunks: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)


def read_exif(image: PillowImage.Image, size: tuple[int, int]) -> bytes | None:
    """Return the EXIF of an opened image, None without any.

    Args:
        image: before its pixels are loaded, if it is TIFF; after that, if it is PNG.
        size: width and height of the upright pixels.

    Raises:
        Exception: it cannot be read; every kind of damage has its own error.
    """
    from PIL import Image

    found = image.getexif()
    if not found:
        return None
    exif = Image.Exif()
    exif.load(found.tobytes())
    for tag in list(exif):
        if tag in _OF_THE_OLD_FILE or (tag in _RESOLUTION and image.format != "TIFF"):
            del exif[tag]
    inner = exif.get_ifd(_EXIF_IFD)
    for tag, value in ((_EXIF_WIDTH, size[0]), (_EXIF_HEIGHT, size[1])):
        if tag in inner:
            inner[tag] = value
    return exif.tobytes() if len(exif) else None


def exif_tags(exif: bytes) -> Mapping[int, Any]:
    """Return the tags of EXIF; the values of its two inner directories are mappings."""
    from PIL import Image

    read = Image.Exif()
    read.load(exif)
    tags: dict[int, Any] = dict(read.items())
    for tag in (_EXIF_IFD, _GPS_IFD):
        inner = read.get_ifd(tag)
        tags.pop(tag, None)
        if inner:
            tags[tag] = inner
    return tags


def read_metadata(image: PillowImage.Image, path: Path, exif: bytes | None) -> Metadata:
    """Return what is kept of a decoded image in ``path``, whose EXIF was read before."""
    info = image.info
    xmp = info.get("xmp")
    comment = info.get("comment") if image.format == "JPEG" else None
    return Metadata(
        icc=info.get("icc_profile") or None,
        exif=exif,
        xmp=_upright_xmp(xmp) if isinstance(xmp, bytes) else None,
        iptc=_iptc(image),
        comment=comment if isinstance(comment, bytes) else None,
        dpi=_dpi(info.get("dpi")),
        png_chunks=_png_chunks(path) if image.format == "PNG" else (),
    )


def _upright_xmp(xmp: bytes) -> bytes:
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def _dpi(found: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in found)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _iptc(image: PillowImage.Image) -> bytes | None:
    for marker, content in getattr(image, "applist", []):
        if marker == _JPEG_PHOTOSHOP:
            return bytes(content)
    return None


def _png_chunks(path: Path) -> tuple[tuple[bytes, bytes], ...]:
    """Return the chunks of a PNG file that say how colours are meant, and its texts."""
    kept: list[tuple[bytes, bytes]] = []
    for name, content in png_chunks(path.read_bytes()):
        is_text = name in _PNG_TEXT and not content.startswith(_PNG_OTHERS)
        if is_text or name in _PNG_COLOUR:
            kept.append((name, content))
    return tuple(kept)


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return name and content of all chunks of a PNG file (PNG 1.2, 3.2)."""
    found: list[tuple[bytes, bytes]] = []
    position = _PNG_SIGNATURE_BYTES
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        name = data[position + 4 : position + 8]
        found.append((name, data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found
