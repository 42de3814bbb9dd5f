"""Restoring one image with a trained network, in tiles where the whole does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from harness.config.errors import HarnessError, UsageError, did_you_mean, is_out_of_memory
from harness.data.images.arrays import Float
from harness.data.images.image_file import Pixels
from harness.evaluation.memory import MemoryBudget
from harness.evaluation.prompt_choice import (
    ExpertLoad,
    PromptChoice,
    choice_of,
    choice_of_task,
    choose_on_crops,
    is_forced,
    one_hot_choice,
)
from harness.evaluation.restore import decode_batch, restore_image, to_batch, to_image
from harness.evaluation.restored_image import RestoredImage
from harness.evaluation.tiling import (
    ALIGNMENT_PX,
    CONTEXT_PX,
    OnPixels,
    Restore,
    Seams,
    Tiling,
    as_unit,
    least_side_px,
    restore_tiled,
    restored_rows,
    tiling_within,
)
from harness.method import Method, Prompted

_ROWS_AT_ONCE = 512
_ALWAYS_FITS_PX = 2**18
_FLOAT_PX_BYTES = 12


@dataclass(frozen=True)
class Restorer:
    """A trained network, and what is known of it.

    Attributes:
        method: on ``device`` and in evaluation mode.
        name: what messages call it.
        tasks: that it was trained on, in the order of the setting.
        needs_task_labels: whether the true task of every image is an input of it.
        device: where it computes.
        expert_load: how images of its tasks are routed, by level; empty where that is not stored.
    """

    method: Method
    name: str
    tasks: tuple[str, ...]
    needs_task_labels: bool
    device: torch.device
    expert_load: ExpertLoad = field(default_factory=dict)

    @property
    def prompted(self) -> Prompted | None:
        """The method, if prompts can be forced on it."""
        return self.method if isinstance(self.method, Prompted) else None

    @property
    def task_choices(self) -> tuple[str, ...]:
        """The tasks that ``--prompt`` may name; none where prompts cannot be forced."""
        try:
            for task in self.tasks:
                self.check_task(task)
        except UsageError:
            return ()
        return self.tasks

    def check_task(self, task: str | None) -> None:
        """Refuse a task whose prompts cannot be forced.

        Raises:
            UsageError: says why, and the way out.
        """
        if task is None:
            if self.needs_task_labels:
                raise UsageError(
                    f"{self.name} needs the task of every image; name it with --prompt, one of "
                    f"{', '.join(self.tasks)}"
                )
            return
        if task not in self.tasks:
            raise UsageError(f"--prompt {task} is no task; {did_you_mean(task, self.tasks)}")
        if self.needs_task_labels:
            return
        if self.prompted is None:
            raise UsageError(f"{self.name} has no prompts that could be forced; leave --prompt out")
        if not self._is_forced() and not self._is_routing_known(task):
            raise UsageError(
                f"{self.name} chooses its prompts by a router, and how it routes '{task}' is not "
                "stored with it; name a scored run with --run, or leave --prompt out"
            )

    def _is_forced(self) -> bool:
        assert self.prompted is not None
        return is_forced(self.prompted, None, self.device)

    def _is_routing_known(self, task: str) -> bool:
        assert self.prompted is not None
        return all(task in self.expert_load.get(level, {}) for level in self.prompted.levels)


@dataclass(frozen=True)
class TilingOptions:
    """How large images are restored.

    Attributes:
        budget: memory that one image may take.
        tile_px: side of tiles; None makes them as large as the memory allows.
        context_px: what a tile sees around its own part.
    """

    budget: MemoryBudget
    tile_px: int | None = None
    context_px: int = CONTEXT_PX


def restore_pixels(
    restorer: Restorer,
    pixels: Pixels,
    task: str | None,
    options: TilingOptions,
    on_pixels: OnPixels,
) -> RestoredImage:
    """Restore an image of any size and 8 or 16 bits.

    Where memory does not suffice after all, it begins again with tiles of half the side.

    Args:
        restorer: the network.
        pixels: (H, W, 3) uint8 or uint16.
        task: whose prompts are forced; None leaves the choice to the method.
        options: how large images are cut.
        on_pixels: hears how many more pixels are restored.

    Raises:
        HarnessError: memory is too small for a tile, or restored values are not finite.
    """
    labels = (task,) if restorer.needs_task_labels and task is not None else None
    tiling = _tiling(restorer, pixels, labels, options)
    is_cut_smaller = False
    while True:
        try:
            restored = _restored(restorer, pixels, task, labels, tiling, on_pixels)
        except (MemoryError, RuntimeError) as error:
            smaller = _smaller(pixels, tiling, options.context_px)
            if smaller is None or not is_out_of_memory(error):
                raise
            tiling, is_cut_smaller = smaller, True
            continue
        return replace(restored, is_cut_smaller=is_cut_smaller)


def _restored(
    restorer: Restorer,
    pixels: Pixels,
    task: str | None,
    labels: tuple[str, ...] | None,
    tiling: Tiling | None,
    on_pixels: OnPixels,
) -> RestoredImage:
    """Restore an image whole, or cut as ``tiling`` says."""
    choice = _choice(restorer, pixels, task, labels, tiling is not None)
    restored = np.empty_like(pixels)
    seams = Seams()
    if tiling is None:
        values, own = _restore_whole(restorer, as_unit(pixels), labels, choice)
        _store(values, restored, 0)
        on_pixels(pixels.shape[0] * pixels.shape[1])
        return RestoredImage(restored, 1, None, seams, choice or own)
    top = 0
    restore = _restore_under(restorer, labels, choice)
    for rows in restored_rows(restore, pixels, tiling, seams, on_pixels):
        _store(rows, restored, top)
        top += rows.shape[0]
    return RestoredImage(restored, tiling.count(*pixels.shape[:2]), tiling, seams, choice)


def restore_large(restorer: Restorer, image: Float, task: str, tile_px: int) -> Float:
    """Restore a test image (H, W, 3) in tiles, under one choice of prompts.

    The result is that of :func:`~harness.evaluation.restore.restore_image` where the network sees
    no more than a tile.
    """
    labels = (task,) if restorer.needs_task_labels else None
    method = restorer.prompted
    choice = None
    if method is not None:
        choice = choose_on_crops(method, image, labels, restorer.device)
    restore = _restore_under(restorer, labels, choice)
    restored, _ = restore_tiled(restore, image, Tiling(tile_px, tile_px))
    # As of a whole image: one value that is not finite leaves it without a score.
    return restored if np.isfinite(restored).all() else np.full_like(restored, np.nan)


def _choice(
    restorer: Restorer,
    pixels: Pixels,
    task: str | None,
    labels: tuple[str, ...] | None,
    is_tiled: bool,
) -> PromptChoice | None:
    """Return the prompts that are forced; None where the method chooses as it restores."""
    method = restorer.prompted
    if method is None or not (is_tiled or task is not None):
        return None
    if task is None or labels is not None:
        return choose_on_crops(method, pixels, labels, restorer.device) if is_tiled else None
    by = f"--prompt {task}"
    if is_forced(method, None, restorer.device):
        # Where a classifier or the true task chooses, task i has prompt i.
        return one_hot_choice(method, restorer.tasks.index(task), by)
    own = choose_on_crops(method, pixels, None, restorer.device)
    return choice_of_task(own, restorer.expert_load, task, by)


def _restore_whole(
    restorer: Restorer,
    image: Float,
    labels: tuple[str, ...] | None,
    choice: PromptChoice | None,
) -> tuple[Float, PromptChoice | None]:
    method = restorer.prompted
    if method is None:
        return _restore_under(restorer, labels, None)(image), None
    batch = to_batch(image, restorer.device)
    by = "--prompt"
    if choice is not None:
        forced: Mapping[str, torch.Tensor] | None = choice.override(restorer.device)
    else:
        with torch.no_grad():
            forced = method.choose(batch, labels)
        by = "the router" if forced is None else "the method"
    decoded = decode_batch(method, batch, forced)
    return to_image(decoded.restored), choice_of(decoded, by)


def _restore_under(
    restorer: Restorer, labels: tuple[str, ...] | None, choice: PromptChoice | None
) -> Restore:
    """Return what restores one tile, under forced prompts if there are any."""
    method = restorer.prompted
    if method is None or choice is None:
        task = labels[0] if labels else None
        return lambda image: restore_image(restorer.method, image, restorer.device, task)
    prompted, override = method, choice.override(restorer.device)

    def restore(image: Float) -> Float:
        batch = to_batch(image, restorer.device)
        return to_image(decode_batch(prompted, batch, override).restored)

    return restore


def _tiling(
    restorer: Restorer,
    pixels: Pixels,
    labels: tuple[str, ...] | None,
    options: TilingOptions,
) -> Tiling | None:
    height, width = pixels.shape[:2]
    if options.tile_px is not None:
        if max(height, width) <= options.tile_px:
            return None
        side = max(options.tile_px, least_side_px(options.context_px))
        return Tiling(side, side, options.context_px)
    budget = options.budget
    if height * width <= _ALWAYS_FITS_PX and budget.allowed_bytes is None:
        return None
    sample = as_unit(pixels[:_ROWS_AT_ONCE, :_ROWS_AT_ONCE])
    restore = _restore_under(restorer, labels, None)
    # A strip of tiles exists twice in floats, as tiles and joined; the result exists throughout.
    allowed = budget.pixels(sample, restore, pixels.nbytes, 2 * _FLOAT_PX_BYTES * width)
    if allowed is None:
        return None
    return tiling_within(height, width, allowed, options.context_px)


def _smaller(pixels: Pixels, tiling: Tiling | None, context_px: int) -> Tiling | None:
    """Return tiles of half the side; None where the smallest did not fit."""
    height, width = pixels.shape[:2]
    if tiling is not None:
        height, width = min(height, tiling.height_px), min(width, tiling.width_px)
    least = least_side_px(context_px)
    if max(height, width) <= least:
        return None
    sides = [max(least, side // 2 // ALIGNMENT_PX * ALIGNMENT_PX) for side in (height, width)]
    return Tiling(sides[0], sides[1], context_px)


def _store(values: Float, restored: Pixels, top: int) -> None:
    """Round rows of floats to the bits of the result, some rows at a time.

    Raises:
        HarnessError: a value is not finite.
    """
    most = np.iinfo(restored.dtype).max
    for begin in range(0, values.shape[0], _ROWS_AT_ONCE):
        rows = values[begin : begin + _ROWS_AT_ONCE]
        if not np.isfinite(rows).all():
            raise HarnessError(
                "the network returned values that are not finite for it; use other weights"
            )
        scaled = np.rint(rows.clip(0, 1) * most)
        restored[top + begin : top + begin + rows.shape[0]] = scaled
