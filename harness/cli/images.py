"""``harness images``: keep restored images of runs that are finished, without scoring again."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.keeping_flags import ImageFlags
from harness.cli.options import DataFlags, EvaluationFlags, LocalFlags, RequestFlags
from harness.cli.requests import plan_of, request_of
from harness.config.errors import printable


def images(
    request: RequestFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    kept: ImageFlags,
    resources: LocalFlags,
    images: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep these images instead: IMAGE in every column that has it, or COLUMN:IMAGE; "
            "comma-separated or repeated."
        ),
    ] = None,
) -> None:
    """Make restored images of finished runs from their weights, and print where they are.

    Without --keep-images or --images it keeps all of them. What is there is not made again.
    """
    from harness.api import keep_images, named_images
    from harness.config.errors import UsageError

    if images and kept.keep_images is not None:
        raise UsageError("--images names what is kept, and so does --keep-images; leave one out")
    asked = request_of(
        {"keep_images": "all"},
        request.config,
        request.values(),
        data.values(),
        evaluation.values(),
        kept.values(),
    )
    plan = plan_of(asked)
    which = named_images(plan, images) if images else asked.keep_images
    paths = keep_images(plan, which, resources.resources())
    folders = sorted({str(path.parent) for path in paths})
    for folder in folders:
        print(printable(str(folder)))
    print(f"{len(paths)} images in {len(folders)} folders")
