"""``harness figure``: figures for papers of what is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from harness.cli.options import DataFlags, EvaluationFlags, LocalFlags, RequestFlags
from harness.cli.output import print_warnings, print_written
from harness.cli.requests import plan_of, request_of


@dataclass(frozen=True)
class FigureFlags:
    """What a figure shows and how wide it is."""

    images: Annotated[
        list[str] | None,
        typer.Option(
            help="Images of grid and errors: IMAGE in every column that has it, or COLUMN:IMAGE; "
            "comma-separated or repeated. Without it those on which methods differ most."
        ),
    ] = None
    rows: Annotated[
        int, typer.Option(min=1, help="Without --images: how many images are shown.")
    ] = 3
    crop: Annotated[
        str,
        typer.Option(
            help="Part of each image that is shown enlarged: x,y,w,h in pixels, auto (where "
            "methods differ most), or none."
        ),
    ] = "auto"
    width: Annotated[
        Literal["column", "full"] | None,
        typer.Option(help="Width: a column of a paper (3.3 in) or a page (6.9 in)."),
    ] = None


def figure(
    kind: Annotated[
        str,
        typer.Argument(
            help="grid, errors, scatter, differences, curves, routing, swap, cost or steps."
        ),
    ],
    shown: FigureFlags,
    request: RequestFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    resources: LocalFlags,
) -> None:
    """Draw a figure of stored runs as PNG and PDF, in the size of a paper.

    Restored images that it shows are made from the weights where they are not kept; nothing is
    trained or scored.
    """
    from harness.api import FigureOptions, left_out_note
    from harness.api import figure as draw

    asked = request_of({}, request.config, request.values(), data.values(), evaluation.values())
    options = FigureOptions(tuple(shown.images or ()), shown.rows, shown.crop, shown.width)
    plan = plan_of(asked)
    paths = draw(plan, kind, options, resources.resources())
    note = left_out_note(plan, kind)
    print_warnings([note] if note else [])
    print_written(paths)
