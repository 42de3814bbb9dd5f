"""``harness plan`` and ``harness exec``: a stored plan, and one run of it on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.keeping_flags import ImageFlags
from harness.cli.options import DataFlags, EvaluationFlags, LocalFlags, RequestFlags
from harness.cli.requests import plan_of, request_of
from harness.cli.stopping import stopped
from harness.config.errors import printable


def plan(
    request: RequestFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    images: ImageFlags,
    to: Annotated[Path, typer.Option(help="File to write, .json.")],
) -> None:
    """Store the plan of a request, and print its runs in an order in which they can be computed."""
    from harness.api import describe, store_plan

    asked = request_of(
        {},
        request.config,
        request.values(),
        data.values(),
        evaluation.values(),
        images.values(),
    )
    made = plan_of(asked)
    store_plan(made, to)
    print(describe(made))
    print(
        printable(f"written: {to}; compute one run with: python -m harness exec RUN_ID --plan {to}")
    )


def execute(
    run_id: Annotated[str, typer.Argument(help="The run, as the plan lists it.")],
    plan: Annotated[Path, typer.Option(help="File that python -m harness plan wrote.")],
    resources: LocalFlags,
) -> None:
    """Compute one run of a stored plan, on any machine that sees the plan's output folder.

    Runs that it needs are computed first if they are not done.
    """
    from harness.api import execute_run, is_first_process, load_plan, raise_if_failed

    loaded = load_plan(plan)
    outcomes = execute_run(loaded, run_id, resources.resources())
    if any(outcome.interrupted for outcome in outcomes):
        raise stopped()
    raise_if_failed(outcomes, len(outcomes))
    if is_first_process():
        print(f"{run_id} is done")
