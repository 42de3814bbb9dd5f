"""The output folder and the cache of decoded images."""

from __future__ import annotations

from pathlib import Path

from harness.data.images.cache import decoded_files, default_folder, remove_decoded


def image_cache_folder() -> Path | None:
    """Return the folder of decoded images; None where there is none."""
    return default_folder()


def remove_image_cache(dry_run: bool = False) -> int:
    """Remove the decoded images of the cache, and return their size in bytes.

    Other files in a folder that HARNESS_IMAGE_CACHE names stay.

    Args:
        dry_run: only measure.
    """
    folder = default_folder()
    if folder is None:
        return 0
    size = sum(path.lstat().st_size for path in decoded_files(folder))
    if not dry_run:
        remove_decoded(folder)
    return size
