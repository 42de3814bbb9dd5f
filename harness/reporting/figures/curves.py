"""The course of trainings: validation and loss terms against steps, several seeds as a band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.config.errors import HarnessError
from harness.planning.command_line import command_line
from harness.planning.plan import Plan
from harness.reporting.figures.bands import Series, draw_band
from harness.reporting.figures.left_out import LeftOut
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.style import (
    WIDTHS_IN,
    hide_rest,
    legend_above,
    new_figure,
    panels,
    plain,
)
from harness.reporting.plan_summary import runs_by_method
from harness.reporting.training_course import LOSS, Course, course_of
from harness.reporting.wording import column_labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDS_IMAGES = False
# Trainings are followed before they are scored.
NEEDS_SCORES = False

_PANEL_IN = 1.9


def left_out(plan: Plan) -> LeftOut:
    """Return the trained methods of which no training has validated."""
    without = []
    for method, runs in runs_by_method(plan).items():
        if runs[0].method.spec.trained and not any(map(course_of, runs)):
            without.append(method)
    return LeftOut(without, "no validation")


def draw(asked: FigureRequest) -> Figure:
    """Return a panel for the mean over tasks, each task and each loss term, a line for each method.

    Raises:
        HarnessError: no training of these methods has validated.
    """
    by_method: dict[str, list[Course]] = {}
    for runs in runs_by_method(asked.plan).values():
        courses: list[Course] = [course for course in map(course_of, runs) if course]
        if courses:
            by_method[runs[0].method.label] = courses
    if not by_method:
        raise HarnessError(
            f"{asked.plan.out} holds no validation of a training of these methods; train them "
            f"with: {command_line('run', asked.plan.request)}"
        )
    names = _names(by_method)
    width_in = asked.width_in or WIDTHS_IN["full"]
    rows, across = panels(len(names), width_in, _PANEL_IN)
    figure = new_figure(width_in, 1.55 * rows + 0.35)
    axes = figure.subplots(rows, across, squeeze=False, sharex=True).ravel()
    for place, name in zip(axes, names, strict=False):
        for position, (label, trained) in enumerate(by_method.items()):
            draw_band(place, _series(trained, name), position, plain(label))
        place.set_title(plain(_heading(name, asked.plan)))
        place.grid(visible=True)
    hide_rest(list(axes), len(names), across)
    figure.supxlabel("training step")
    legend_above(figure, axes[0], width_in)
    return figure


def _names(by_method: Mapping[str, Sequence[Course]]) -> list[str]:
    """Return what there are values of, validations before loss terms."""
    names: dict[str, None] = {}
    for courses in by_method.values():
        for values in courses[0].values():
            names.update(dict.fromkeys(values))
    return sorted(names, key=lambda name: name.startswith(LOSS))


def _series(courses: Sequence[Course], name: str) -> list[Series]:
    found: list[Series] = []
    for course in courses:
        points: dict[float, float] = {}
        for step, values in course.items():
            if math.isfinite(values.get(name, math.nan)):
                points[step] = values[name]
        if points:
            found.append(points)
    return found


def _heading(name: str, plan: Plan) -> str:
    if name.startswith(LOSS):
        return name
    shown = column_labels(plan)
    labels = {column.task: shown[column.name] for column in plan.columns}
    return f"{labels.get(name, name)} (dB)"
