"""Restoring images of one's own with a trained network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.errors import UsageError
from harness.config.user_folders import check_no_file
from harness.planning.own_files import use_own_files
from harness.planning.request import DEFAULT_OUT, CheckpointRequest
from harness.store.files import check_writable, make_folder

if TYPE_CHECKING:
    from harness.evaluation.restore_files import RestoreOptions
    from harness.evaluation.restored_file import RestoredFile
    from harness.evaluation.restorer import Restorer

_BYTES_PER_GB = 10**9


@dataclass(frozen=True)
class RestoreRequest:
    """Which images are restored, by what, and where to.

    Attributes:
        inputs: files, folders, and patterns with ``*``.
        output: folder of the results.
        run: id, unique beginning or label of a run in ``out``.
        out: folder of runs.
        checkpoint: file of weights instead of a run.
        method: the method that it holds the weights of, where it does not say so.
        required: weights of methods that this one builds on, by name.
        setting: whose tasks a checkpoint knows that does not state them.
        recipe: whose size of the network a checkpoint has that does not state it.
        plugins: Python files with methods of one's own.
        format: of the results: ``png``, ``jpeg``, ``tiff``, ``webp``, ``bmp`` or ``ppm``; empty
            keeps that of each input.
        quality: of JPEG, 1 to 100.
        overwrite: replaces results that exist.
        prompt: task whose prompts are forced; empty leaves the choice to the method.
        explain: writes a JSON file beside each result on the prompts that it received.
        memory_gb: memory that may be taken, in 10^9 bytes: by the whole process on a CPU, by
            tensors on a GPU; None takes half of what is free, on a GPU nine tenths.
        tile_px: side of tiles for images that are larger; None lets the memory decide.
        overlap_px: what a tile sees around its own part, a multiple of 64.
        device: ``cpu``, ``cuda`` or ``auto``.
        threads: compute threads; None takes ``OMP_NUM_THREADS``, or every core.
    """

    inputs: tuple[str | Path, ...]
    output: Path
    run: str | None = None
    out: Path = DEFAULT_OUT
    checkpoint: Path | None = None
    method: str | None = None
    required: tuple[tuple[str, Path], ...] = ()
    setting: str = "three-task"
    recipe: str = "paper"
    plugins: tuple[Path, ...] = ()
    format: str = ""
    quality: int = 95
    overwrite: bool = False
    prompt: str = ""
    explain: bool = False
    memory_gb: float | None = None
    tile_px: int | None = None
    overlap_px: int = 64
    device: str = "auto"
    threads: int | None = None


def restore(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    run: str | None = None,
    **values: Any,
) -> list[RestoredFile]:
    """Restore images of one's own, and return what became of each.

    Example::

        files = harness.restore("holiday/", "restored/", run="cpl-s0")
        failed = [file for file in files if file.state == "failed"]

    Args:
        inputs: a file, a folder or a pattern, or several.
        output: folder of the results.
        run: id, unique beginning or label of a run in ``out``.
        values: further fields of :class:`RestoreRequest`.

    Raises:
        UsageError: no such run, input or prompt, or two inputs would be written to one file;
            nothing was restored then.
        HarnessError: the network cannot be built, or the folder cannot be written. An image that
            fails is part of the result.
    """
    known = {field.name for field in fields(RestoreRequest)}
    for name in values:
        if name not in known:
            raise UsageError(f"restore has no argument '{name}'; known are {', '.join(known)}")
    several = (inputs,) if isinstance(inputs, str | Path) else tuple(inputs)
    request = RestoreRequest(inputs=several, output=Path(output), run=run, **values)
    return list(restore_each(request))


def restore_each(
    request: RestoreRequest, on_progress: Callable[[int, int], object] = lambda done, total: None
) -> Iterator[RestoredFile]:
    """Restore as :func:`restore` does, and yield each file when it is done.

    ``on_progress`` hears how many pixels are done, of how many.
    """
    from harness.data.images.write import output_format
    from harness.evaluation.restore_files import restore_files
    from harness.evaluation.restore_paths import plan_files

    _check_numbers(request)
    into = output_format(request.format) if request.format else None
    files = plan_files(request.inputs, request.output, into)
    check_no_file(request.output, "--output")
    restorer = opened_restorer(request)
    restorer.check_task(request.prompt or None)
    make_folder(request.output)
    check_writable(request.output, "--output")
    yield from restore_files(restorer, files, _options(request, restorer), on_progress)


def opened_restorer(request: RestoreRequest) -> Restorer:
    """Build the network that a request names.

    Raises:
        UsageError: no such run, file or method.
        HarnessError: the weights are missing, damaged or do not fit.
    """
    import torch

    from harness.execution.process import return_freed_memory, worker_of
    from harness.execution.restorers import RestorerRequest, open_restorer
    from harness.planning.request import Resources

    use_own_files((), request.plugins)
    resources = Resources(device=request.device, threads=request.threads)
    torch.set_num_threads(worker_of(resources).threads)
    return_freed_memory()
    checkpoint = None
    if request.checkpoint is not None:
        checkpoint = CheckpointRequest(
            file=request.checkpoint, method=request.method, required=dict(request.required)
        )
    asked = RestorerRequest(
        run=request.run,
        out=request.out,
        checkpoint=checkpoint,
        recipe=request.recipe,
        setting=request.setting,
        device=request.device,
    )
    return open_restorer(asked)


def _options(request: RestoreRequest, restorer: Restorer) -> RestoreOptions:
    from harness.evaluation.memory import MemoryBudget
    from harness.evaluation.restore_files import RestoreOptions
    from harness.evaluation.restorer import TilingOptions

    memory = None if request.memory_gb is None else int(request.memory_gb * _BYTES_PER_GB)
    budget = MemoryBudget(restorer.device, memory)
    return RestoreOptions(
        tiling=TilingOptions(budget, request.tile_px, request.overlap_px),
        task=request.prompt or None,
        explain=request.explain,
        overwrite=request.overwrite,
        quality=request.quality,
    )


def _check_numbers(request: RestoreRequest) -> None:
    from harness.evaluation.tiling import ALIGNMENT_PX, least_side_px

    if request.overlap_px <= 0 or request.overlap_px % ALIGNMENT_PX:
        raise UsageError(
            f"--overlap-px {request.overlap_px} is no multiple of {ALIGNMENT_PX}, at which tiles "
            f"begin; use {ALIGNMENT_PX} or {2 * ALIGNMENT_PX}"
        )
    least = least_side_px(request.overlap_px)
    if request.tile_px is not None and request.tile_px < least:
        raise UsageError(
            f"--tile-px {request.tile_px} is too small for an overlap of {request.overlap_px} "
            f"pixels on each side; use {least} or more"
        )
    if request.memory_gb is not None and not request.memory_gb > 0:
        raise UsageError(f"--memory {request.memory_gb:g} must be above 0, in GB")
    if not 1 <= request.quality <= 100:
        raise UsageError(f"--quality {request.quality} must lie between 1 and 100")


def restore_one(
    restorer: Restorer,
    source: Path,
    target: Path,
    request: RestoreRequest,
    on_pixels: Callable[[int], object] = lambda more: None,
) -> RestoredFile:
    """Restore one file with an opened network; what goes wrong is the reason of a failed one.

    ``request`` says which prompts are forced and how large images are cut.

    Raises:
        UsageError: the prompts cannot be forced.
    """
    from harness.data.images.write import format_of_suffix
    from harness.evaluation.restore_files import restore_file
    from harness.evaluation.restore_paths import PlannedFile

    task = request.prompt or None
    restorer.check_task(task)
    file = PlannedFile(source, target, format_of_suffix(target.suffix))
    return restore_file(restorer, file, _options(request, restorer), on_pixels)


def write_preview(source: Path, target: Path) -> None:
    """Write what browsers show of an image: 8-bit PNG, upright, with its colour profile.

    Raises:
        HarnessError: the image cannot be read or written.
    """
    from harness.data.images.image_file import read_image_file
    from harness.data.images.write import preview
    from harness.store.files import write_bytes

    write_bytes(target, preview(read_image_file(source)))


def image_kind(path: Path) -> tuple[int, int, str]:
    """Return height, width and the usual suffix of an image, from its header.

    Raises:
        HarnessError: the file is damaged, no image or too large; names it.
    """
    from harness.data.images.read import image_size, suffix_of

    height, width = image_size(path)
    return height, width, suffix_of(path)
