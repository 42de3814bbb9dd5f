"""``harness runs``: what is stored, and removing what is old."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.flags import finite
from harness.config.errors import printable

if TYPE_CHECKING:
    from harness.api import StoredRunInfo

app = typer.Typer(help="What is stored: list runs, remove old ones.", no_args_is_help=True)

_MIB = 2**20
_HEADS = ("method", "seed", "scored on", "state", "size", "age", "run")
Out = Annotated[Path, typer.Option(help="Output folder.")]
_DEFAULT_OUT = Path("results/runs")


@app.command("list")
def list_runs(out: Out = _DEFAULT_OUT) -> None:
    """List the runs of an output folder: method, settings, seed, state, size and age."""
    from harness.api import stored_runs

    runs = stored_runs(out)
    lines: list[tuple[str, ...]] = []
    for run in runs:
        settings = ", ".join(run.settings) or "-"
        size = f"{run.bytes / _MIB:.1f} MiB"
        seed = "" if run.seed is None else str(run.seed)
        age = f"{run.age_days:.0f} d"
        texts = (run.method, seed, settings, run.state, size, age, run.id)
        lines.append(tuple(map(printable, texts)))
    print("\n".join(_aligned(lines)))
    total = sum(run.bytes for run in runs)
    print(printable(f"{len(runs)} runs, {total / _MIB:.1f} MiB in {out}"))


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of the listing, as tabulate would, which is slow with thousands of rows."""
    heads = [f"{head}  " for head in _HEADS]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    line = "  ".join(f"{{:{width}}}" for width in widths)
    rule = ["-" * width for width in widths]
    return [line.format(*row).rstrip() for row in (_HEADS, rule, *rows)]


@app.command("prune")
def prune(
    out: Out = _DEFAULT_OUT,
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0, callback=finite, help="Remove runs that did not change for so many days."
        ),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Only runs whose training did not end.")
    ] = False,
    image_cache: Annotated[
        bool, typer.Option("--image-cache", help="Remove the cache of decoded images.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only list.")] = False,
) -> None:
    """Remove old runs, or the cache of decoded images, which is made anew where it is needed."""
    from harness.api import image_cache_folder, remove_image_cache
    from harness.config.errors import UsageError

    if older_than is None and not unfinished and not image_cache:
        raise UsageError("name what goes: --older-than DAYS, --unfinished or --image-cache")
    if image_cache:
        freed = remove_image_cache(dry_run=not yes)
        _report(freed, f"decoded images in {image_cache_folder() or 'no folder'}", yes)
    if older_than is None and not unfinished:
        return
    _prune_runs(out, older_than, unfinished, yes)


def _prune_runs(out: Path, older_than: float | None, unfinished: bool, yes: bool) -> None:
    from harness.api import remove_runs, stored_runs

    chosen = []
    for run in stored_runs(out):
        if _goes(run, older_than, unfinished):
            chosen.append(run)
            print(f"{printable(run.id)} ({run.state}, {run.age_days:.0f} days)")
    if yes:
        removed = remove_runs(out, chosen)
        for run in chosen:
            if run not in removed:
                print(_left(out, run))
        chosen = removed
    _report(sum(run.bytes for run in chosen), f"{len(chosen)} runs in {out}", yes)


def _left(out: Path, run: StoredRunInfo) -> str:
    """Return the line on a run that was chosen and stays."""
    claim = out / run.id / ".claim"
    if claim.exists():
        reason = f"another process computes it; if none does any more, remove {claim}"
    else:
        reason = "another process has computed it meanwhile; look at it again, with list,"
    return printable(f"{run.id} stays: {reason} and prune again")


def _goes(run: StoredRunInfo, older_than: float | None, unfinished: bool) -> bool:
    """Return whether a run is among those that were named."""
    if older_than is not None and run.age_days <= older_than:
        return False
    return not unfinished or run.state in ("unfinished", "empty")


def _report(freed: int, what: str, done: bool) -> None:
    word = "removed" if done else "would be removed; add --yes"
    print(f"{what}: {freed / _MIB:.1f} MiB {word}")
