"""The output folder and the cache of decoded images."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.data.images.cache import default_folder
from harness.execution.listing import folder_bytes


def image_cache_folder() -> Path | None:
    """Return the folder of decoded images; None where there is none."""
    return default_folder()


def remove_image_cache(dry_run: bool = False) -> int:
    """Remove the cache of decoded images, and return its size in bytes.

    Args:
        dry_run: only measure.
    """
    folder = default_folder()
    if folder is None:
        return 0
    size = folder_bytes(folder)
    if not dry_run:
        shutil.rmtree(folder, ignore_errors=True)
    return size
