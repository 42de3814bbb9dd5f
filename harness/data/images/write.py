"""Writing restored images with the metadata of their originals.

- PNG: 8 and 16 bits, alpha; colour space, EXIF, XMP, texts, resolution.
- JPEG: 8 bits, quality 95 and full colour resolution unless asked otherwise; profile, EXIF, XMP,
  IPTC, comment, resolution.
- TIFF: 8 and 16 bits, alpha, deflate; profile, EXIF, XMP, resolution.
- WebP: 8 bits, alpha, lossless; profile, EXIF, XMP.
- BMP and PPM: 8 bits, PPM 16 too; no metadata.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError, UsageError, did_you_mean
from harness.data.images.image_file import ImageFile, Pixels
from harness.data.images.metadata import Metadata, exif_tags, png_chunks
from harness.data.images.tiff import tiff_bytes

JPEG_QUALITY = 95
_PNG_SIGNATURE_BYTES = 8
_PNG_STRUCTURE = (b"IHDR", b"IDAT", b"IEND")
_ICC_TAG, _XMP_TAG = 34675, 700
_MOST_SEGMENT_BYTES = 65_533
"""Content of one segment of a JPEG file at most."""


@dataclass(frozen=True)
class OutputFormat:
    """A format in which restored images are written.

    Attributes:
        name: on the command line.
        suffixes: endings of file names, the usual one first.
        is_deep: whether it holds 16 bits per channel.
        has_alpha: whether it holds an alpha channel.
    """

    name: str
    suffixes: tuple[str, ...]
    is_deep: bool
    has_alpha: bool


FORMATS = {
    "png": OutputFormat("png", (".png",), is_deep=True, has_alpha=True),
    "jpeg": OutputFormat("jpeg", (".jpg", ".jpeg"), is_deep=False, has_alpha=False),
    "tiff": OutputFormat("tiff", (".tif", ".tiff"), is_deep=True, has_alpha=True),
    "webp": OutputFormat("webp", (".webp",), is_deep=False, has_alpha=True),
    "bmp": OutputFormat("bmp", (".bmp",), is_deep=False, has_alpha=False),
    "ppm": OutputFormat("ppm", (".ppm", ".pgm", ".pnm"), is_deep=True, has_alpha=False),
}
_ALSO = {"jpg": "jpeg", "tif": "tiff"}


def output_format(name: str) -> OutputFormat:
    """Return the format called ``name``.

    Raises:
        UsageError: there is none; the nearest is named.
    """
    asked = name.lower().lstrip(".")
    asked = _ALSO.get(asked, asked)
    if asked not in FORMATS:
        raise UsageError(f"--format {name} is unknown; {did_you_mean(asked, FORMATS)}")
    return FORMATS[asked]


def format_of_suffix(suffix: str) -> OutputFormat:
    """Return the format that files with this ending are written in again; PNG for others.

    GIF is among the others: it holds 256 colours, which restored images exceed.
    """
    for known in FORMATS.values():
        if suffix.lower() in known.suffixes:
            return known
    return FORMATS["png"]


def check_fits(image: ImageFile, into: OutputFormat) -> tuple[str, ...]:
    """Return sentences on what a format cannot hold of an image.

    Raises:
        HarnessError: it cannot hold the alpha channel.
    """
    if image.alpha is not None and not into.has_alpha:
        raise HarnessError(
            f"it has an alpha channel, which {into.name} does not hold; use --format png"
        )
    if image.is_deep and not into.is_deep:
        return (f"16 bits were rounded to 8, the most that {into.name} holds",)
    return ()


def encoded(image: ImageFile, into: OutputFormat, quality: int = JPEG_QUALITY) -> bytes:
    """Return the file of an image, with its metadata.

    Args:
        image: what is written; its pixels are upright.
        into: the format.
        quality: of JPEG, 1 to 100.
    """
    channels = _channels(image, into)
    if into.name == "tiff":
        return _tiff(channels, image.metadata)
    if into.name == "ppm":
        return _ppm(channels)
    if into.name == "png":
        return _png(channels, image.metadata)
    return _by_pillow(channels, into.name, _keywords(image.metadata, into.name, quality))


def preview(image: ImageFile) -> bytes:
    """Return an image as a PNG file of 8 bits, with its colour profile alone as metadata."""
    pixels: Any = image.pixels
    alpha: Any = image.alpha
    if image.is_deep:
        pixels = (pixels >> 8).astype(np.uint8)
        alpha = None if alpha is None else (alpha >> 8).astype(np.uint8)
    shown = replace(image, pixels=pixels, alpha=alpha, metadata=Metadata(icc=image.metadata.icc))
    return encoded(shown, FORMATS["png"])


def as_grey(pixels: Pixels) -> Pixels:
    """Return the luma (H, W) of RGB (H, W, 3), by the weights of ITU-R BT.601."""
    luma = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    if pixels.dtype == np.uint8:
        return np.rint(luma).astype(np.uint8)
    return np.rint(luma).astype(np.uint16)


def _channels(image: ImageFile, into: OutputFormat) -> NDArray[Any]:
    """Return (H, W, C) as it is written: grey or RGB, then alpha if there is any."""
    # Neither Pillow nor OpenCV knows 16 bits of grey with alpha.
    stays_grey = image.is_grey and not (image.is_deep and image.alpha is not None)
    parts = [as_grey(image.pixels)[..., None] if stays_grey else image.pixels]
    if image.alpha is not None:
        parts.append(image.alpha[..., None])
    channels: NDArray[Any] = np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]
    if image.is_deep and not into.is_deep:
        return ((channels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return channels


def _by_pillow(channels: NDArray[Any], name: str, keywords: dict[str, Any]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    squeezed = channels[..., 0] if channels.shape[2] == 1 else channels
    Image.fromarray(squeezed).save(file, format=name.upper(), **keywords)
    return file.getvalue()


def _keywords(metadata: Metadata, name: str, quality: int) -> dict[str, Any]:
    """Return what Pillow's writer of a format is told."""
    found: dict[str, Any] = {"dpi": metadata.dpi}
    if name in {"jpeg", "webp", "png"}:
        found |= {"icc_profile": metadata.icc, "exif": metadata.exif}
    if name in {"jpeg", "webp"}:
        found["xmp"] = metadata.xmp
    if name == "jpeg":
        found |= {"quality": quality, "subsampling": 0, "comment": metadata.comment}
        if metadata.iptc is not None and len(metadata.iptc) <= _MOST_SEGMENT_BYTES:
            length = struct.pack(">H", len(metadata.iptc) + 2)
            found["extra"] = b"\xff\xed" + length + metadata.iptc
    if name == "webp":
        found |= {"lossless": True, "method": 4, "exact": True}
    return {key: value for key, value in found.items() if value is not None}


def _png(channels: NDArray[Any], metadata: Metadata) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for name, content in metadata.png_chunks:
        info.add(name, content)
    if metadata.xmp is not None:
        xmp = metadata.xmp.decode("utf-8", "replace")
        info.add_itxt("XML:com.adobe.xmp", xmp)
    keywords = {"pnginfo": info, **_keywords(metadata, "png", 0)}
    if channels.dtype == np.uint8:
        return _by_pillow(channels, "png", keywords)
    # Pillow lays out the metadata of an image of one pixel, OpenCV writes the deep pixels.
    small = _by_pillow(np.zeros((1, 1, 3), np.uint8), "png", keywords)
    extra = []
    for name, content in png_chunks(small):
        if name not in _PNG_STRUCTURE:
            extra.append(_png_chunk(name, content))
    deep = _deep_png(channels)
    after_header = _PNG_SIGNATURE_BYTES + 25  # IHDR: 13 bytes, and 12 around each chunk
    return b"".join([deep[:after_header], *extra, deep[after_header:]])


def _png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def _deep_png(channels: NDArray[Any]) -> bytes:
    import cv2

    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels.shape[2]]
    _, data = cv2.imencode(".png", np.ascontiguousarray(channels[..., order]))
    return data.tobytes()


def _tiff(channels: NDArray[Any], metadata: Metadata) -> bytes:
    tags = {} if metadata.exif is None else exif_tags(metadata.exif)
    blobs = {_ICC_TAG: metadata.icc, _XMP_TAG: metadata.xmp}
    kept = {tag: blob for tag, blob in blobs.items() if blob is not None}
    return tiff_bytes(channels, tags, kept, metadata.dpi)


def _ppm(channels: NDArray[Any]) -> bytes:
    """Return a binary PGM or PPM file; deep ones are big-endian (Netpbm)."""
    height, width, count = channels.shape
    most = np.iinfo(channels.dtype).max
    magic = "P5" if count == 1 else "P6"
    header = f"{magic}\n{width} {height}\n{most}\n".encode()
    return header + channels.astype(channels.dtype.newbyteorder(">"), copy=False).tobytes()
