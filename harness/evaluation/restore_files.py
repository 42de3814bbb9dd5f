"""Restoring image files: each is read, restored and written with its metadata, one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.config.errors import HarnessError, is_out_of_memory, out_of_memory
from harness.data.images.image_file import read_image_file
from harness.data.images.read import image_size
from harness.data.images.write import JPEG_QUALITY, check_fits, encoded
from harness.evaluation.restore_paths import PlannedFile
from harness.evaluation.restored_file import RestoredFile
from harness.evaluation.restored_image import RestoredImage, tiles_sentence
from harness.evaluation.restorer import Restorer, TilingOptions, restore_pixels
from harness.store.files import write_atomically, write_json

_UNKNOWN_PX = 2**20
"""Counted for a file whose size cannot be read."""

OnProgress = Callable[[int, int], object]
"""Hears how many pixels are done, of how many."""


@dataclass(frozen=True)
class RestoreOptions:
    """How files are restored.

    Attributes:
        tiling: how large images are cut.
        task: whose prompts are forced; None leaves the choice to the method.
        explain: whether a JSON file beside each result says which prompts it received.
        overwrite: whether results that exist are replaced.
        quality: of JPEG, 1 to 100.
    """

    tiling: TilingOptions
    task: str | None = None
    explain: bool = False
    overwrite: bool = False
    quality: int = JPEG_QUALITY


def restore_files(
    restorer: Restorer,
    files: Sequence[PlannedFile],
    options: RestoreOptions,
    on_progress: OnProgress,
) -> Iterator[RestoredFile]:
    """Restore files one after the other; one that fails does not stop the others.

    Yields:
        what became of each file, as soon as it is done.
    """
    pixels = [_pixels_of(file, options) for file in files]
    total, done = sum(pixels), 0
    for file, count in zip(files, pixels, strict=True):
        if not count:
            yield RestoredFile(file.source, file.target, "skipped")
            continue
        begin = done

        def on_pixels(more: int, limit: int = begin + count) -> None:
            nonlocal done
            done = min(limit, done + more)
            on_progress(done, total)

        yield restore_file(restorer, file, options, on_pixels)
        done = begin + count
        on_progress(done, total)


def restore_file(
    restorer: Restorer,
    file: PlannedFile,
    options: RestoreOptions,
    on_pixels: Callable[[int], object],
) -> RestoredFile:
    """Restore one file; what goes wrong is the reason of a failed one."""
    began = time.monotonic()
    try:
        restored = _restored(restorer, file, options, on_pixels)
    except HarnessError as error:
        return RestoredFile(file.source, file.target, "failed", str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = f"{out_of_memory(error)}; or allow less with --memory"
        return RestoredFile(file.source, file.target, "failed", reason)
    return replace(restored, wall_s=time.monotonic() - began)


def explanation_path(target: Path) -> Path:
    """Return where the JSON file on the prompts of a result is written."""
    return target.with_name(f"{target.name}.prompts.json")


def _restored(
    restorer: Restorer,
    file: PlannedFile,
    options: RestoreOptions,
    on_pixels: Callable[[int], object],
) -> RestoredFile:
    image = read_image_file(file.source)
    notes = [*image.notes, *check_fits(image, file.format)]
    found = restore_pixels(restorer, image.pixels, options.task, options.tiling, on_pixels)
    content = encoded(replace(image, pixels=found.pixels), file.format, options.quality)
    write_atomically(file.target, lambda target: target.write(content))
    notes += filter(None, [tiles_sentence(found)])
    explanation = _explanation(restorer, file, found)
    if options.explain and explanation is not None:
        write_json(explanation_path(file.target), explanation)
    prompts = "" if found.choice is None else found.choice.sentence(restorer.expert_load)
    return RestoredFile(
        file.source,
        file.target,
        "restored",
        notes=tuple(notes),
        prompts=prompts,
        explanation=explanation,
    )


def _explanation(
    restorer: Restorer, file: PlannedFile, found: RestoredImage
) -> dict[str, Any] | None:
    if found.choice is None:
        return None
    return {
        "image": file.source.name,
        "method": restorer.name,
        "tiles": found.tiles,
        **found.choice.as_json(restorer.expert_load),
    }


def _pixels_of(file: PlannedFile, options: RestoreOptions) -> int:
    """Return the pixels of a file from its header; 0 if its result exists and is kept."""
    if file.target.exists() and not options.overwrite:
        return 0
    try:
        height, width = image_size(file.source)
    except HarnessError:  # it fails when it is read, with the same sentence
        return _UNKNOWN_PX
    return max(1, height * width)
