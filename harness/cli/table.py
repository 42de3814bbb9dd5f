"""``harness table``: print and write the table of what is stored, computing nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.computing import show_table
from harness.cli.options import (
    DataFlags,
    EvaluationFlags,
    RequestFlags,
)
from harness.cli.output import has_colours, print_warnings, print_written, terminal_width
from harness.cli.requests import plan_of, request_of

if TYPE_CHECKING:
    from harness.api import RunRequest


def table(
    request: RequestFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    style: Annotated[
        Literal["rows", "paper"],
        typer.Option(help="rows: what is stored; paper: as the literature prints it, with it."),
    ] = "rows",
    source: Annotated[
        str | None, typer.Option(help="With --style paper: whose table, as cpl or mioir.")
    ] = None,
) -> None:
    """Print the table from stored results; what was not computed is shown as missing."""
    from harness.config.errors import HarnessError, UsageError

    asked = request_of({}, request.config, request.values(), data.values(), evaluation.values())
    if style == "paper":
        if asked.evaluation.test_set is not None:
            raise UsageError("no paper's table is of a --test-set; leave one of them out")
        _show_paper_table(asked, source)
        return
    if source is not None:
        raise UsageError(f"--source {source} chooses a published table; add --style paper")
    from harness.api import is_anything_stored

    made = plan_of(asked)
    if not is_anything_stored(made):
        methods = ",".join(asked.methods)
        raise HarnessError(
            f"{asked.out} holds no scores of these methods on {asked.setting} with recipe "
            f"{asked.recipe}; compute them with: python -m harness run --methods '{methods}'"
        )
    show_table(made)


def _show_paper_table(request: RunRequest, source: str | None) -> None:
    from harness.api import paper_table

    found = paper_table(request, source)
    paths = found.write(request.out / "tables")
    print_warnings(found.warnings)
    print(found.to_text(has_colours(), terminal_width()))
    print_written(paths)
