"""Small images, which a page shows before anybody looks at a whole one."""

from __future__ import annotations

import io
from pathlib import Path

from harness.config.errors import HarnessError

THUMBNAIL_PX = 240
"""The long side of a small image."""

_QUALITY = 72


def size_px(path: Path) -> tuple[int, int]:
    """Return width and height of an image from its header.

    Raises:
        HarnessError: the image cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError) as error:
        raise HarnessError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    return f"image {path} cannot be read ({error}); remove it, and run the same command again"


def thumbnail(path: Path) -> bytes:
    """Return a small WebP of an image.

    Raises:
        HarnessError: the image cannot be read.
    """
    from PIL import Image

    content = io.BytesIO()
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
            small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX, reducing_gap=2)
            small.save(content, "WEBP", quality=_QUALITY, method=2)
    except (OSError, ValueError, SyntaxError) as error:
        raise HarnessError(_unreadable(path, error)) from error
    return content.getvalue()
