"""``harness validate``: what a file of one's own is, and the first mistake in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Includes, Plugins


def validate(
    files: Annotated[
        list[Path],
        typer.Argument(help="YAML files, or Python files with methods or degradations."),
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="setting, test set, data set, protocol, recipe, study or request; without it, "
            "the keys tell.",
        ),
    ] = None,
    include: Includes = None,
    plugin: Plugins = None,
) -> None:
    """Check settings, test sets, data sets, protocols, recipes, studies and requests.

    Prints what each file is; the first mistake ends it, with the line.
    """
    from harness.api import use_own_files, validate_file

    use_own_files(include or [], plugin or [])
    for file in files:
        print(validate_file(file, kind))
