"""``harness audit``: do the averages of published tables follow from their values?"""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.output import terminal_width


def audit(
    setting: Annotated[
        str | None, typer.Option(help="Tables of this setting only; all without it.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything does not agree.")
    ] = False,
) -> None:
    """Recompute every average that published tables print, and list what does not agree."""
    from harness.api import audit_report

    report = audit_report(setting)
    print(report.to_text(terminal_width()))
    if strict and not report.all_agree:
        raise typer.Exit(1)
