"""Flags on what a command keeps: images, archives, or nothing but the plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.config.errors import UsageError
from harness.config.user_folders import check_no_file


@dataclass(frozen=True)
class ImageFlags:
    """Which restored images are kept as files."""

    keep_images: Annotated[
        str | None,
        typer.Option(
            help="Keep restored images as PNG with their run: all, worst:N (the N worst of each "
            "column by the first metric), or none.",
            show_default="none",
        ),
    ] = None

    def values(self) -> dict[str, Any]:
        """Return the flag if it was given, by its key in the request."""
        return {} if self.keep_images is None else {"keep_images": self.keep_images}


@dataclass(frozen=True)
class ComputingFlags(ImageFlags):
    """What a command that computes keeps besides results, and whether it computes at all."""

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False


@dataclass(frozen=True)
class ArchiveFlags:
    """Importing results that exist, and exporting those that were made."""

    import_: Annotated[
        Path | None,
        typer.Option(
            "--import",
            help="Archive of exported results, or output folder of version 0.1: count what it "
            "holds as done.",
        ),
    ] = None
    export: Annotated[
        Path | None,
        typer.Option(help="Write scores and specs to this folder as CSV and JSON."),
    ] = None

    def check(self, dry_run: bool) -> None:
        """Refuse what could not be written, and all that is written beside a plan that is shown.

        Raises:
            UsageError: the folder of the export is a file, or nothing is computed.
        """
        if self.export is not None:
            check_no_file(self.export, "--export")
        if dry_run and self.export is not None:
            raise UsageError(
                f"--dry-run shows the plan only, and --export {self.export} would write nothing; "
                "leave one of them out"
            )
        if dry_run and self.import_ is not None:
            raise UsageError(
                f"--dry-run shows the plan only, and --import {self.import_} would write to the "
                "output folder; leave one of them out"
            )
