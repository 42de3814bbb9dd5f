"""Images below a site: linked or copied in a stable layout, with small ones to begin with."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from harness.config.errors import HarnessError

PathOf = Callable[[str, str], Path]
"""Returns where the image of a column and an image's name is kept; there need be no file."""

THUMBNAIL_PX = 240
"""The long side of a small image."""

_QUALITY = 72


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
        raise HarnessError(
            f"image {path} cannot be read ({error}); remove it, and run the same command again"
        ) from error
    return content.getvalue()
