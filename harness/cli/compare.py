"""``harness compare``: which method is better, image by image, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.options import DataFlags, EvaluationFlags, RequestFlags
from harness.cli.output import has_colours, print_warnings, print_written, terminal_width
from harness.cli.requests import plan_of, request_of


@dataclass(frozen=True)
class ComparisonFlags:
    """How methods are compared."""

    spread: Annotated[
        Literal["images", "seeds", "both"] | None,
        typer.Option(help="What intervals show; by default both, and images of a single seed."),
    ] = None
    extremes: Annotated[
        int,
        typer.Option(
            min=0, help="How many of the largest gains and of the largest losses to name."
        ),
    ] = 3
    ranks: Annotated[
        Literal["columns", "images"],
        typer.Option(help="What five and more methods are ranked in: means of columns, or images."),
    ] = "columns"
    against: Annotated[
        Path | None,
        typer.Option(
            help="Archive or output folder whose results of the same methods are compared too."
        ),
    ] = None


def compare(
    request: RequestFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    comparison: ComparisonFlags,
    compared: Annotated[
        list[str] | None,
        typer.Argument(metavar="[METHOD]...", help="Methods, as cpl promptir cpl:top_k=2."),
    ] = None,
) -> None:
    """Compare methods image by image from stored results: differences, intervals and tests.

    Methods stand behind the subcommand or after --methods. Nothing is computed; tables go below
    OUT/tables and figures below OUT/figures.
    """
    from harness.api import compare as compare_methods
    from harness.api import write_comparison
    from harness.config.errors import UsageError

    values = request.values()
    if compared:
        if request.methods is not None:
            raise UsageError("methods are named twice; leave --methods out, or the others")
        values["methods"] = ",".join(compared)
    plan = plan_of(request_of({}, request.config, values, data.values(), evaluation.values()))
    paths: list[Path] = []
    texts = []
    pictures = ""
    for part in plan.by_protocol:
        found = compare_methods(
            part,
            spread=comparison.spread,
            extremes=comparison.extremes,
            ranks=comparison.ranks,
            against=comparison.against,
        )
        paths += write_comparison(found, part.out)
        pictures = pictures or found.pictures_command()
        print_warnings(found.warnings)
        texts.append(found.to_text(has_colours(), terminal_width()))
    print("\n\n".join(texts))
    print_written(paths)
    if pictures:
        print(f"\nlook at the largest gains and losses with: {pictures}")
