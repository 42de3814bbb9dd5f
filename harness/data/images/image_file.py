"""Reading an image as it is to be written again: all bits, alpha, and what the file says beside.

Data sets are read by :mod:`harness.data.images.read`, which is one rule for all scores. Images of
one's own are read here, by the same decoders and with the same refusals, but for what only a score
forbids: alpha is kept, 16 bits stay 16 bits, and CMYK is converted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError
from harness.data.images.metadata import Metadata, read_exif, read_metadata
from harness.data.images.read import (
    deep_pixels,
    image_size,
    is_deep,
    opened,
    orientation_of,
    require_kind,
    upright,
)

if TYPE_CHECKING:
    from PIL import Image as PillowImage

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""uint8 or uint16 values, as a file stores them."""

_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_CONVERTED = frozenset({"CMYK"})


@dataclass(frozen=True)
class ImageFile:
    """An image of one's own.

    Attributes:
        pixels: (H, W, 3) uint8 or uint16 RGB, upright; of grey images three equal channels.
        alpha: (H, W) of the same kind; None without it.
        is_grey: whether the file holds one channel, and is written with one again.
        format: Pillow's name of the file's format, as ``PNG``.
        metadata: what else the file says.
        notes: sentences on what the file holds and is not kept as it is.
    """

    pixels: Pixels
    alpha: Pixels | None
    is_grey: bool
    format: str
    metadata: Metadata
    notes: tuple[str, ...] = ()

    @property
    def is_deep(self) -> bool:
        """Whether channels have 16 bits."""
        return self.pixels.dtype == np.uint16


def read_image_file(path: Path) -> ImageFile:
    """Decode a file with all its bits, its alpha channel and its metadata.

    Raises:
        HarnessError: the file is missing, damaged, no image, too large or of a kind that is
            refused (several frames, floats, Lab); names it.
    """
    height, width = image_size(path)
    notes: list[str] = []
    with opened(path) as image:
        require_kind(image, path, _CONVERTED)
        exif = _exif_or_note(image, (width, height), notes) if image.format == "TIFF" else None
        image.load()
        if image.format != "TIFF":
            exif = _exif_or_note(image, (width, height), notes)
        metadata = read_metadata(image, path, exif)
        is_grey = image.mode in _GREY_MODES
        file_format = "JPEG" if image.format == "MPO" else str(image.format)
        if is_deep(image):
            channels: Any = deep_pixels(path, image.mode)
            orientation = 1 if image.format == "TIFF" else orientation_of(image)
        else:
            orientation = orientation_of(image)
            channels = _eight_bits(image, notes)
        if image.mode == "CMYK":
            metadata = _without_profile(metadata)
    if channels.ndim == 2:
        channels = channels[..., None]
    channels = upright(channels, orientation)
    if channels.shape[:2] != (height, width):
        raise HarnessError(
            f"image {path} states {width}x{height} pixels and holds "
            f"{channels.shape[1]}x{channels.shape[0]}; save it again"
        )
    pixels, alpha = _colour_and_alpha(channels)
    return ImageFile(pixels, alpha, is_grey, file_format, metadata, tuple(notes))


def _exif_or_note(
    image: PillowImage.Image, size: tuple[int, int], notes: list[str]
) -> bytes | None:
    try:
        return read_exif(image, size)
    except Exception as error:  # damaged EXIF fails in many ways, and the pixels are intact
        notes.append(f"its EXIF cannot be read ({type(error).__name__}) and is not kept")
        return None


def _eight_bits(image: PillowImage.Image, notes: list[str]) -> NDArray[np.uint8]:
    """Return (H, W), or (H, W, C) with C from 2 to 4: grey or RGB, with or without alpha."""
    if image.mode == "CMYK":
        notes.append("CMYK was converted to sRGB, and its colour profile is not kept")
        return np.array(_from_cmyk(image))
    if image.mode == "1":
        notes.append("black and white became grey")
        return np.array(image.convert("L"))
    if image.mode in {"L", "LA", "RGB", "RGBA"} and "transparency" not in image.info:
        return np.array(image)
    if image.mode == "P":
        notes.append("a palette became RGB")
    if image.has_transparency_data:
        return np.array(image.convert("LA" if image.mode in {"L", "La"} else "RGBA"))
    return np.array(image.convert("RGB"))


def _from_cmyk(image: PillowImage.Image) -> PillowImage.Image:
    """Convert through the embedded profile; without one, or with a broken one, plainly."""
    import io

    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError):
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _without_profile(metadata: Metadata) -> Metadata:
    from dataclasses import replace

    return replace(metadata, icc=None)


def _colour_and_alpha(channels: NDArray[Any]) -> tuple[Pixels, Pixels | None]:
    """Split (H, W, 1 to 4) into RGB and alpha."""
    has_alpha = channels.shape[2] in {2, 4}
    colour = channels[..., :-1] if has_alpha else channels
    if colour.shape[2] == 1:
        colour = np.repeat(colour, 3, axis=2)
    alpha = np.ascontiguousarray(channels[..., -1]) if has_alpha else None
    return np.ascontiguousarray(colour), alpha
