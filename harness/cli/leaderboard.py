"""``harness leaderboard``: cited and measured rows of all settings on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Includes, Plugins
from harness.config.errors import printable


def leaderboard(
    to: Annotated[
        Path, typer.Option(help="Folder of the site; a leaderboard there is updated.")
    ] = Path("leaderboard"),
    results: Annotated[
        list[Path] | None,
        typer.Option(
            help="Measured rows: an output folder, an archive, or a folder of archives; "
            "repeatable. Without it, the archives of a checkout (results/reference)."
        ),
    ] = None,
    plugin: Plugins = None,
    include: Includes = None,
) -> None:
    """Write what papers print and what was measured as one page that opens from disk."""
    from harness.api import leaderboard as leaderboard_of
    from harness.api import use_own_files

    use_own_files(include or [], plugin or [])
    print(printable(f"written to {to}; open {leaderboard_of(to, results or [])}"))
