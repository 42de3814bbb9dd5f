"""Importing what an archive holds of a plan, and exporting what is stored of one."""

from __future__ import annotations

from pathlib import Path

from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.store import archive
from harness.store.stored_run import StoredRun


def import_runs(plan: Plan, folder: Path) -> int:
    """Count what an archive or an output folder of version 0.1 holds of ``plan`` as done.

    Returns:
        The number of runs that were imported; runs with scores keep their own.

    Raises:
        HarnessError: the folder holds no results, or a file of it is damaged.
    """
    stored = [_stored(run) for run in plan.auxiliary]
    for part in plan.by_protocol:
        stored += map(_stored, part.runs)
    return archive.import_runs(stored, folder)


def export_runs(plan: Plan, folder: Path) -> int:
    """Write what is stored of ``plan`` to an archive, and return the number of runs.

    Raises:
        UsageError: nothing is stored.
    """
    stored: list[StoredRun] = []
    for part in plan.by_protocol:
        stored += map(_stored, part.runs)
    return archive.export_runs(stored, folder)


def legacy_note(out: Path) -> str:
    """Return a sentence on runs of version 0.1 in an output folder, empty if it has none."""
    if not (out / "cells").is_dir():
        return ""
    return (
        f"{out / 'cells'} holds runs of version 0.1, which are not read as they are; count them as "
        f"done with: --import {out}"
    )


def _stored(run: Run) -> StoredRun:
    required = tuple(_stored(needed) for needed in run.requires)
    return StoredRun(run.method.id, run.train, run.score, run.folder, required)
