"""Sites that open from disk: the report of a plan, and the leaderboard."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.figures import how_to_compute
from harness.api.images import keep_images
from harness.config.errors import HarnessError, UsageError
from harness.config.package import PACKAGE_FOLDER
from harness.execution.progress import progress_for
from harness.planning.plan import Plan
from harness.planning.request import Resources
from harness.registry import find
from harness.store.archive import archives_below

if TYPE_CHECKING:
    from harness.reporting.site.cases import CaseKey
    from harness.reporting.site.measured_lists import MethodFacts

DEFAULT_IMAGES = "notable:10"
"""The ten worst, the ten best and the ten largest disagreements of each column."""

_CHOICE = re.compile(r"(notable|worst):([1-9]\d{0,8})")


def report(
    plan: Plan,
    folder: str | Path,
    images: str = DEFAULT_IMAGES,
    resources: Resources | None = None,
) -> Path:
    """Write what is stored of a plan as a site that opens from disk; return its first page.

    Example::

        page = harness.report(plan, "report")

    Args:
        plan: what is shown; nothing of it is trained or scored.
        folder: of the site; a report that is there is updated, anything else is refused.
        images: which restored images the site shows: ``notable:N`` (of each column the N worst,
            the N best and the N largest disagreements), ``worst:N``, ``all``, ``none`` (those that
            are kept already). What is not kept is made from the weights.
        resources: what restoring may use.

    Raises:
        UsageError: the folder holds something else, or there is no such choice of images.
        HarnessError: nothing is stored, or something stored is damaged.
    """
    from harness.reporting.site.folder import SiteFolder
    from harness.reporting.site.report import write_report
    from harness.reporting.wording import worded

    check_image_choice(images)
    shown = worded(plan)
    _check_stored(plan)
    SiteFolder(Path(folder), "report").check()
    _keep(plan, images, resources)
    progress = progress_for("report", live=True)
    try:
        pages = write_report(shown, Path(folder), partial(progress.images, "shown"))
    finally:
        progress.close()
    return pages[0]


def leaderboard(folder: str | Path, results: Sequence[str | Path] = ()) -> Path:
    """Write cited and measured rows of all settings as one page that opens from disk.

    Example::

        page = harness.api.leaderboard("site", results=["results/reference", "results/runs"])

    Args:
        folder: of the site; a leaderboard that is there is updated, anything else is refused.
        results: output folders, archives, or folders of archives, whose rows are measured; empty
            takes the archives of a checkout (``results/reference``), if there are any.

    Returns:
        The page.

    Raises:
        UsageError: the folder holds something else.
        HarnessError: a folder holds no results, or published or measured rows are damaged.
    """
    from harness.reporting.site.leaderboard import write_leaderboard

    measured = list(map(Path, results)) or own_archives()
    return write_leaderboard(Path(folder), measured, _facts_of)


def own_archives() -> list[Path]:
    """Return the folder of the archives of a checkout; none where there is no checkout."""
    folder = PACKAGE_FOLDER.parent / "results" / "reference"
    return [folder] if archives_below(folder) else []


def _facts_of(method: str) -> MethodFacts:
    """Return what is known of a method; one that is not installed here has its id as its name."""
    from harness.reporting.site.measured_lists import MethodFacts

    try:
        found = find(method)
    except UsageError:
        return MethodFacts(method, "methods")
    if found.spec.role != "reference":
        return MethodFacts(found.label, "methods")
    return MethodFacts(found.label, "references" if found.spec.trained else "input")


def check_image_choice(images: str) -> None:
    """Refuse a choice of images that is none.

    Raises:
        UsageError: names those that there are.
    """
    if images not in ("all", "none") and _CHOICE.fullmatch(images) is None:
        raise UsageError(
            f"--images '{images}' is none of notable:N, worst:N, all and none; try {DEFAULT_IMAGES}"
        )


def _check_stored(plan: Plan) -> None:
    from harness.reporting.plan_summary import is_anything_stored

    if not is_anything_stored(plan):
        raise HarnessError(how_to_compute(plan))


def _keep(plan: Plan, images: str, resources: Resources | None) -> None:
    """Make the images that are chosen and not kept, of the runs whose images are shown."""
    from harness.reporting.site.cases import shown_runs

    if images == "none":
        return
    shown = replace(plan, runs=tuple(shown_runs(plan)), others=())
    trained = [run for run in shown.runs if run.method.spec.trained]
    if trained and not any(run.folder.weights.exists() for run in trained):
        # Imported from an archive: there is nothing to restore with.
        return
    keep_images(shown, _chosen(plan, images), resources)


def _chosen(plan: Plan, images: str) -> str | Sequence[CaseKey]:
    from harness.reporting.site.cases import notable_cases, worst_cases

    choice = _CHOICE.fullmatch(images)
    if choice is None:
        return images
    count = int(choice[2])
    return notable_cases(plan, count) if choice[1] == "notable" else worst_cases(plan, count)
