"""``harness restore``: restore images of one's own with a trained network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.counter import counting
from harness.cli.flags import finite, named_values
from harness.cli.options import Plugins
from harness.config.errors import printable

if TYPE_CHECKING:
    from harness.api import RestoredFile, RestoreRequest

_PX_PER_MEGAPIXEL = 10**6


@dataclass(frozen=True)
class NetworkFlags:
    """Which network restores, and what it may use."""

    run: Annotated[
        str | None,
        typer.Option(help="Run in --out: its id, a unique beginning of it, or 'cpl seed 0'."),
    ] = None
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("results/runs")
    checkpoint: Annotated[Path | None, typer.Option(help="File of weights instead of a run.")] = (
        None
    )
    method: Annotated[
        str | None,
        typer.Option(help="Method that it holds the weights of; files of this project know it."),
    ] = None
    required: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: weights of a method that this one builds on."),
    ] = None
    setting: Annotated[
        str, typer.Option(help="Whose tasks a checkpoint knows that does not state them.")
    ] = "three-task"
    plugin: Plugins = None
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto"
    threads: Annotated[int | None, typer.Option(min=1, help="Compute threads.")] = None


@dataclass(frozen=True)
class ResultFlags:
    """How results are written."""

    format: Annotated[
        str,
        typer.Option(
            help="png, jpeg, tiff, webp, bmp or ppm; without it the format of each input (GIF: "
            "png)."
        ),
    ] = ""
    quality: Annotated[int, typer.Option(help="Quality of JPEG, 1 to 100.")] = 95
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = (
        False
    )
    prompt: Annotated[str, typer.Option(help="Force the prompts of this task, as dehaze.")] = ""
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Write and print which prompts each image received, and how surely."
        ),
    ] = False


@dataclass(frozen=True)
class TileFlags:
    """How images are cut whose restoration does not fit into memory."""

    memory: Annotated[
        float | None,
        typer.Option(
            callback=finite,
            help="Memory to take in GB: by the whole process, or by tensors on a GPU; without it "
            "half of what is free, on a GPU nine tenths.",
        ),
    ] = None
    tile_px: Annotated[
        int | None, typer.Option(help="Side of tiles; without it as large as fits.")
    ] = None
    overlap_px: Annotated[
        int, typer.Option(help="What a tile sees around its own part, a multiple of 64.")
    ] = 64


def restore(
    input_: Annotated[
        list[str],
        typer.Option("--input", help="File, folder or pattern with *; repeatable."),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the results.")],
    network: NetworkFlags,
    results: ResultFlags,
    tiles: TileFlags,
) -> None:
    """Restore images of your own, whatever their size and kind."""
    from harness.api import RestoreRequest

    required = named_values(network.required or [], "--required", "NAME=FILE")
    request = RestoreRequest(
        inputs=tuple(input_),
        output=output,
        run=network.run,
        out=network.out,
        checkpoint=network.checkpoint,
        method=network.method,
        required=tuple((name, Path(path)) for name, path in required.items()),
        setting=network.setting,
        plugins=tuple(network.plugin or ()),
        format=results.format,
        quality=results.quality,
        overwrite=results.overwrite,
        prompt=results.prompt,
        explain=results.explain,
        memory_gb=tiles.memory,
        tile_px=tiles.tile_px,
        overlap_px=tiles.overlap_px,
        device=network.device,
        threads=network.threads,
    )
    _report(_restore_all(request))


def _restore_all(request: RestoreRequest) -> list[RestoredFile]:
    """Restore and print a line on each file.

    Raises:
        Interrupted: Ctrl-C; what was written stays.
    """
    from harness.api import restore_each
    from harness.config.errors import Interrupted

    done: list[RestoredFile] = []
    try:
        with counting("restored, megapixels") as count:
            for file in restore_each(request, _in_megapixels(count)):
                done.append(file)
                _print_line(file, request.explain)
    except KeyboardInterrupt:
        raise Interrupted(
            "stopped; results so far are written, and the same command skips them"
        ) from None
    return done


def _in_megapixels(count: Callable[[int, int], None]) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        of = -(-total // _PX_PER_MEGAPIXEL)
        count(done * of // max(1, total), of)

    return report


def _print_line(file: RestoredFile, explain: bool) -> None:
    if file.state != "restored":
        return
    print(f"{printable(str(file.target))}  {file.wall_s:.1f} s", flush=True)
    for note in file.notes:
        print(printable(f"  {file.source.name}: {note}"))
    if explain and not file.prompts:
        print("  no prompts that are known")
    elif explain:
        print(f"  {file.prompts}")


def _report(files: list[RestoredFile]) -> None:
    """Print how many were restored, and the list of what failed; exit with 1 if any did."""
    by_state: dict[str, list[RestoredFile]] = {"restored": [], "skipped": [], "failed": []}
    for file in files:
        by_state[file.state].append(file)
    text = f"{len(by_state['restored'])} of {len(files)} images restored"
    if by_state["skipped"]:
        text += f", {len(by_state['skipped'])} skipped because their results exist (--overwrite)"
    print(text)
    if by_state["failed"]:
        print(f"{len(by_state['failed'])} failed:", file=sys.stderr)
        for file in by_state["failed"]:
            print(printable(f"  {file.source}: {file.reason}"), file=sys.stderr)
        raise typer.Exit(1)
