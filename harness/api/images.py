"""Restored images as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from harness.config.errors import HarnessError, UsageError
from harness.execution.children import stop_file_of
from harness.execution.process import worker_of
from harness.execution.progress import progress_for
from harness.launch.signals import stop_on_signals
from harness.planning.command_line import command_line
from harness.planning.image_choice import Name, check_choice, check_names
from harness.planning.image_choice import named_images as names_of
from harness.planning.plan import Plan
from harness.planning.request import Resources
from harness.store.image_files import ImagePaths, image_paths


def keep_images(
    plan: Plan, which: str | Sequence[Name] = "all", resources: Resources | None = None
) -> list[Path]:
    """Make restored images of a plan's finished runs from their weights, without scoring again.

    What is there is not made again. Each restored image lies in its run's folder, the degraded and
    the clean images of the pairs once in the plan's output folder; all are 8-bit PNG. A restored
    image that is not finite has no file.

    Example::

        harness.keep_images(plan, "worst:5")
        harness.keep_images(plan, [("derain", "rain-001"), ("derain", "rain-002")])

    Args:
        plan: whose runs restore; a plan of several protocols keeps images as the first quantises.
        which: ``all``, ``worst:N`` (of each run the N worst images of each column by the first
            metric), ``none``, or column and image of each.
        resources: what the computation may use.

    Returns:
        The files of these images: restored by each run, degraded and clean.

    Raises:
        UsageError: there is no such column, image or choice.
        HarnessError: no run has weights that could restore.
        Interrupted: the user stopped it; the same call goes on.
    """
    from harness.execution.kept_images import make_images_by_run

    names = _names_by_run(plan, which)
    progress = progress_for("images", live=True)
    try:
        with stop_on_signals(stop_file_of(plan.out)) as stop_file:
            make_images_by_run(
                plan,
                names,
                worker_of(resources or Resources()),
                partial(progress.images, "restored"),
                stop_file.exists,
            )
    finally:
        progress.close()
    return _existing(plan, names)


def kept_paths(plan: Plan, run_id: str, name: Name) -> ImagePaths:
    """Return where the images of a run and a test pair are, if they are kept.

    Raises:
        UsageError: the plan has no such run.
    """
    run = plan.run(run_id)
    assert run.score is not None
    return image_paths(run.folder, run.score, *name)


def named_images(plan: Plan, texts: Sequence[str]) -> list[Name]:
    """Return column and image of names as a command line has them: IMAGE, or COLUMN:IMAGE.

    Raises:
        UsageError: there is no such image; the nearest are named.
    """
    return names_of(plan.test, texts)


def _names_by_run(plan: Plan, which: str | Sequence[Name]) -> Mapping[str, Sequence[Name]]:
    """Return column and image of what is kept, by the id of the run."""
    from harness.execution.kept_images import chosen_names, restorable_runs

    runs = restorable_runs(plan)
    if not any(run.method.spec.trained for run in runs) and any(
        run.method.spec.trained for run in plan.runs
    ):
        raise HarnessError(
            f"{plan.out} holds no weights of these methods that images could be restored with; "
            f"compute them with: {command_line('run', plan.request)}"
        )
    if isinstance(which, str):
        try:
            check_choice(which)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return {run.id: chosen_names(run, plan, which) for run in runs}
    check_names(plan.test, which)
    return {run.id: list(which) for run in runs}


def _existing(plan: Plan, names: Mapping[str, Sequence[Name]]) -> list[Path]:
    found: dict[Path, None] = {}
    for run_id, of_run in names.items():
        for name in of_run:
            for path in kept_paths(plan, run_id, name).all:
                found[path] = None
    return [path for path in found if path.exists()]
