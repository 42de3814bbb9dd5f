"""``harness score``: score a folder of restored images, whatever restored them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import print_warnings
from harness.config.errors import printable

if TYPE_CHECKING:
    from harness.api import FolderScores


@dataclass(frozen=True)
class FolderFlags:
    """Which images are scored, and under which protocols."""

    restored: Annotated[Path, typer.Option(help="Folder of restored images.")]
    clean: Annotated[Path, typer.Option(help="Folder of clean images.")]
    protocol: Annotated[
        str, typer.Option(help="Protocols of datasets/protocols, comma-separated.")
    ] = "three-task"
    metrics: Annotated[
        str, typer.Option(help="More metrics under each protocol, by id or pyiqa's name.")
    ] = ""
    pairing: Annotated[
        str, typer.Option(help="How names belong together: stem, prefix or rain.")
    ] = "stem"
    pair_template: Annotated[
        str,
        typer.Option(
            help="Names of restored files, as '{name}x4_{model}', where {name} is the clean "
            "file's; or both, as '{scene}_out={scene}_gt'."
        ),
    ] = ""
    workers: Annotated[int, typer.Option(min=0, help="Threads; 0 takes every core.")] = 0


def score(
    folders: FolderFlags,
    csv: Annotated[Path | None, typer.Option(help="Write every image's values here.")] = None,
) -> None:
    """Score restored images against clean ones under one or several protocols."""
    from harness.api import ScoringRequest, score_with_progress, split_names

    request = ScoringRequest(
        restored=folders.restored,
        clean=folders.clean,
        protocols=split_names(folders.protocol),
        metrics=split_names(folders.metrics),
        pairing=folders.pairing,
        workers=folders.workers,
        pair_template=folders.pair_template,
    )
    scores = score_with_progress(request)
    if csv is not None:
        scores.write(csv)
    _print_unpaired(scores)
    print(scores.to_text())
    if csv is not None:
        print(printable(f"written: {csv}"))


def _print_unpaired(scores: FolderScores) -> None:
    for sentence in [*scores.unpaired_sentences(), *scores.too_small_sentences()]:
        print(printable(sentence), file=sys.stderr)
    print_warnings(scores.not_finite_sentences())
