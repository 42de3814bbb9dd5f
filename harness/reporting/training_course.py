"""The stored course of a training: validation and loss terms by step."""

from __future__ import annotations

from collections.abc import Mapping

from harness.config.errors import HarnessError
from harness.planning.run import Run
from harness.store.results import read_lines

Course = Mapping[int, Mapping[str, float]]
"""Values by step and by what they are of: the mean over tasks, each task, and each loss term."""

MEAN = "mean over tasks"
LOSS = "loss "
"""Begins the names of loss terms."""


def course_of(run: Run) -> dict[int, dict[str, float]]:
    """Return what is stored of the course of a training; of a repeated step, the last.

    Trainings of older versions have stored no loss terms.

    Raises:
        HarnessError: the file is damaged.
    """
    path = run.folder.validation
    if not path.exists():
        return {}
    found: dict[int, dict[str, float]] = {}
    for where, line in read_lines(path):
        try:
            values = {MEAN: float(line["score"])}
            for task, value in line["per_task"].items():
                values[task] = float(value)
            for term, value in line.get("losses", {}).items():
                values[f"{LOSS}{term}"] = float(value)
            found[int(line["step"])] = values
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise HarnessError(
                f"{where}, is no validation ({error}); move the file away, the run stays complete"
            ) from error
    return dict(sorted(found.items()))
