"""Reading image files: one function for all of the harness.

The result is always (H, W, 3) uint8 RGB, values as the file stores them (a colour profile is not
applied). What a file may be, and what happens:

- 8-bit RGB as it is; grey, black-and-white and palette images become RGB;
- 16 bits per channel are rounded to 8, ``(v + 128) // 257``, and not cut off as Pillow does;
- an alpha channel that is opaque everywhere is dropped, any other is refused: what the colour
  under a transparent pixel should be, no file says;
- the EXIF orientation is applied, so pixels are arranged as viewers show them;
- CMYK, Lab, floating point and 32-bit integers are refused, as is a file with several frames
  (an MPO file counts as its first).
"""

from __future__ import annotations

import contextlib
import functools
import stat
import struct
import warnings
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError
from harness.data.images.arrays import Image8, Image16, Number

if TYPE_CHECKING:
    from PIL import Image as PillowImage


SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm", ".gif"}
)
"""Endings of files that count as images, in small letters."""

# Named, because Pillow would otherwise start Ghostscript on a PostScript file.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF")
_USUAL_SUFFIXES = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "TIFF": ".tif",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "PPM": ".ppm",
}
_TIFF_BITS = 258
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_ORIENTATION = 274
_FIRST_LYING = 5  # orientations 5 to 8 exchange height and width
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PNG_KEYWORDS = (b"Raw profile type exif", b"XML:com.adobe.xmp")
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, OverflowError)
_DEEPER_DAMAGE = (TypeError, AttributeError, MemoryError, struct.error, zlib.error)


def read_image(path: Path) -> Image8:
    """Decode a file to (H, W, 3) uint8 RGB, as the module describes; writable.

    Raises:
        HarnessError: the file is missing, damaged, no image or of a refused kind; names it.
    """
    with opened(path) as image:
        require_kind(image, path)
        image.load()
        return _decode(image, path)


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width of the image that :func:`read_image` would return.

    Only the file's header is read.

    Raises:
        HarnessError: the file is missing, damaged, no image or too large; names it.
    """
    with opened(path) as image:
        if image.format == "TIFF":
            tags: Any = getattr(image, "tag_v2", {})
            width, height = int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT])
        else:
            width, height = image.size
        is_square = width == height
        if is_square or (image.format == "PNG" and not _png_has_exif(path)):
            return height, width
        return (width, height) if orientation_of(image) >= _FIRST_LYING else (height, width)


def suffix_of(path: Path) -> str:
    """Return the usual suffix of the format that a file has, whatever its name says.

    Raises:
        HarnessError: the file is missing, damaged or no image; names it.
    """
    with opened(path) as image:
        return _USUAL_SUFFIXES.get(str(image.format), ".png")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[PillowImage.Image]:
    """Open an image; what goes wrong until it is closed is a sentence that names the file."""
    from PIL import Image, UnidentifiedImageError

    _accept_large_images()
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise HarnessError(f"image {path} is a pipe or a device; name a file")
        with Image.open(path, formats=_FORMATS) as image:
            yield image
    except FileNotFoundError as error:
        raise HarnessError(f"image {path} is missing; check the path") from error
    except IsADirectoryError as error:
        raise HarnessError(f"image {path} is a folder; name a file") from error
    except PermissionError as error:
        raise HarnessError(
            f"image {path} cannot be opened: {error.strerror}; change its permissions"
        ) from error
    except UnidentifiedImageError as error:
        raise HarnessError(
            f"image {path} cannot be decoded (it is no PNG, JPEG, BMP, TIFF, WebP, PPM or GIF, or "
            "its beginning is damaged); fetch or install it again"
        ) from error
    except Image.DecompressionBombError as error:
        raise HarnessError(
            f"image {path} is too large to be decoded safely ({error}); cut it into parts"
        ) from error
    except (*_DAMAGE, *_DEEPER_DAMAGE) as error:
        raise HarnessError(
            f"image {path} cannot be decoded ({error}); fetch or install it again"
        ) from error


@functools.cache
def _accept_large_images() -> None:
    """Read images up to the size that Pillow refuses without its warning at half that size."""
    from PIL import Image

    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def orientation_of(image: PillowImage.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where none is stated."""
    return int(image.getexif().get(_ORIENTATION, 1))


def _png_has_exif(path: Path) -> bool:
    """Return whether a PNG file may state an orientation, from the heads of its chunks.

    Pillow would decode the whole image to answer.
    """
    with path.open("rb") as file:
        file.seek(8)
        while True:
            head = file.read(8)
            if len(head) < 8:
                return False
            length, kind = struct.unpack(">I4s", head)
            if kind == b"eXIf":
                return True
            position = file.tell()
            if kind in _PNG_TEXTS and file.read(30).startswith(_PNG_KEYWORDS):
                return True
            file.seek(position + length + 4)


def require_kind(
    image: PillowImage.Image, path: Path, converted: Collection[str] = frozenset()
) -> None:
    """Refuse an image of a kind that is not read.

    Args:
        image: an opened image.
        path: its file, for the message.
        converted: modes that are refused otherwise, and that the caller converts.

    Raises:
        HarnessError: names the file, what it is, and the way out.
    """
    refusal = _refusal(image, converted)
    if refusal is not None:
        raise HarnessError(f"image {path} {refusal}")


def _refusal(image: PillowImage.Image, converted: Collection[str]) -> str | None:
    """Return why an image of this kind is not read, and the way out."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        return f"has {frames} frames; save the one that is meant as a file of its own"
    if image.mode in {"CMYK", "LAB", "YCbCr", "HSV"} - set(converted):
        return f"is {image.mode}, which no data set means; convert it to RGB"
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        return f"has 32-bit pixels (mode {image.mode}) without a stated white; save it as 8-bit RGB"
    return None


def _decode(image: PillowImage.Image, path: Path) -> Image8:
    if is_deep(image):
        pixels = _rounded(deep_pixels(path, image.mode))
        # OpenCV turns TIFF files itself.
        orientation = 1 if image.format == "TIFF" else orientation_of(image)
    else:
        orientation = orientation_of(image)
        if image.mode == "RGB":
            pixels = np.array(image)
        elif image.has_transparency_data:
            pixels = np.array(image.convert("RGBA"))
        else:
            pixels = np.array(image.convert("RGB"))
    if pixels.shape[2] == 4:
        if pixels[..., 3].min() < 255:
            raise HarnessError(
                f"image {path} is transparent in places; save it on the background that is meant"
            )
        pixels = pixels[..., :3]
    return np.ascontiguousarray(upright(pixels, orientation))


def is_deep(image: PillowImage.Image) -> bool:
    """Return whether channels have 16 bits, which Pillow hides for colour images."""
    if image.mode.startswith("I"):
        return True
    if image.format == "PNG":
        return _png_depth(image) == 16
    if image.format == "TIFF":
        bits: Any = getattr(image, "tag_v2", {}).get(_TIFF_BITS, 8)
        return 16 in (bits if isinstance(bits, tuple) else (bits,))
    if image.format == "PPM":
        return _ppm_maximum(image) > 255
    return False


def _png_depth(image: PillowImage.Image) -> int:
    header = _beginning(image, 26)
    return header[24] if header[12:16] == b"IHDR" else 8


def _ppm_maximum(image: PillowImage.Image) -> int:
    fields: list[bytes] = []
    for line in _beginning(image, 4096).split(b"\n"):
        before_comment = line.split(b"#")[0]
        fields += before_comment.split()
    return int(fields[3]) if fields[0] in {b"P2", b"P3", b"P5", b"P6"} else 1


def _beginning(image: PillowImage.Image, count: int) -> bytes:
    with Path(str(getattr(image, "filename", ""))).open("rb") as file:
        return file.read(count)


def deep_pixels(path: Path, mode: str) -> Image16:
    """Decode 16 bits per channel: (H, W) grey, or (H, W, C) RGB with or without alpha.

    OpenCV decodes, which preserves all bits; Pillow must have read the whole file before.

    Raises:
        ValueError: the file stores them in a form that is not supported.
    """
    import cv2

    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    deep: Any = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if deep is None or deep.dtype != np.uint16:
        raise ValueError(f"16 bits per channel in a form that is not supported, mode {mode}")
    ordered: Image16 = deep if deep.ndim == 2 else deep[..., [2, 1, 0, 3][: deep.shape[2]]]
    return ordered


def _rounded(deep: Image16) -> Image8:
    """Round 16 bits to 8: (H, W, 3), or (H, W, 4) with alpha."""
    eight: Image8 = ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.repeat(eight[..., None], 3, axis=2) if eight.ndim == 2 else eight


def upright(pixels: NDArray[Number], orientation: int) -> NDArray[Number]:
    """Undo the EXIF orientation 1 to 8 (Exif 2.3, 4.6.4 A): rows and columns as seen."""
    if orientation in {2, 3, 7, 8}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 6, 7}:
        pixels = pixels[::-1]
    return pixels.transpose(1, 0, 2) if orientation >= _FIRST_LYING else pixels
