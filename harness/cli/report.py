"""``harness report``: what is stored as a site that opens from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import DataFlags, EvaluationFlags, LocalFlags, RequestFlags
from harness.cli.requests import plan_of, request_of
from harness.config.errors import printable


def report(
    request: RequestFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    resources: LocalFlags,
    to: Annotated[Path, typer.Option(help="Folder of the site; a report there is updated.")] = Path(
        "report"
    ),
    images: Annotated[
        str,
        typer.Option(
            help="Restored images that the site shows, made from the weights where they are not "
            "kept: notable:N (per column the N worst, N best and N largest disagreements), "
            "worst:N, all, or none but those kept."
        ),
    ] = "notable:10",
) -> None:
    """Write the results of a plan as a site that opens from disk, without a server.

    Nothing is trained or scored; what was not computed is shown as missing.
    """
    from harness.api import check_image_choice
    from harness.api import report as report_of

    check_image_choice(images)
    asked = request_of({}, request.config, request.values(), data.values(), evaluation.values())
    page = report_of(plan_of(asked), to, images, resources.resources())
    print(printable(f"written to {to}; open {page}"))
