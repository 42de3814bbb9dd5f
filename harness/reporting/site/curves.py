"""Validation curves of trainings as SVG, with a table of the same numbers for those who cannot see.

No colour is written into the SVG: classes of the style sheet follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.config.errors import HarnessError
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.site.overview import PlanSources
from harness.reporting.site.rendering import number_text
from harness.reporting.site.sources import joined
from harness.store.results import read_lines

COLOURS = 8
"""Colours of lines in the style sheet; further lines are dashed."""

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 14, 14, 40
_MOST_TICKS = 6
_MOST_ROWS = 12


@dataclass(frozen=True)
class Curve:
    """One line: a label, and (step, value) from left to right; ``style`` is its class."""

    label: str
    points: tuple[tuple[int, float], ...]
    style: str


@dataclass(frozen=True)
class Mark:
    """A tick of an axis: where it is in the SVG, and its text."""

    place: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        title: what it shows.
        unit: of its values.
        curves: its lines.
        sources: numbers of sections of its values.
    """

    title: str
    unit: str
    curves: tuple[Curve, ...]
    sources: str

    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = _HEIGHT - _BOTTOM

    @property
    def _steps(self) -> tuple[float, float]:
        steps = [step for curve in self.curves for step, _ in curve.points]
        return 0.0, float(max(steps))

    @property
    def _values(self) -> tuple[float, float]:
        values: list[float] = []
        for curve in self.curves:
            values += [value for _, value in curve.points]
        low, high = min(values), max(values)
        return (low, high) if high > low else (low - 1, high + 1)

    def _x(self, step: float) -> float:
        low, high = self._steps
        return self.left + (self.right - self.left) * (step - low) / (high - low)

    def _y(self, value: float) -> float:
        low, high = self._values
        return self.bottom - (self.bottom - self.top) * (value - low) / (high - low)

    def line(self, curve: Curve) -> str:
        """Return the points of a line as SVG reads them."""
        places = []
        for step, value in curve.points:
            places.append(f"{self._x(step):.1f},{self._y(value):.1f}")
        return " ".join(places)

    @property
    def x_marks(self) -> list[Mark]:
        """Ticks of the axis of steps."""
        return [Mark(round(self._x(tick), 1), f"{tick:,.0f}") for tick in _ticks(*self._steps)]

    @property
    def y_marks(self) -> list[Mark]:
        """Ticks of the axis of values."""
        ticks = _ticks(*self._values)
        decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]))) if len(ticks) > 1 else 1
        return [Mark(round(self._y(tick), 1), number_text(tick, decimals)) for tick in ticks]

    @property
    def summary(self) -> str:
        """The chart in a sentence: where each line begins and ends."""
        parts = []
        for curve in self.curves:
            (first, start), (last, end) = curve.points[0], curve.points[-1]
            parts.append(
                f"{curve.label}: {number_text(start, 2)} at step {first}, "
                f"{number_text(end, 2)} at step {last}"
            )
        return f"{self.title}, in {self.unit}. {'; '.join(parts)}."

    @property
    def table_steps(self) -> list[int]:
        """The steps that the table of the chart shows: all, or some evenly spread."""
        steps = sorted({step for curve in self.curves for step, _ in curve.points})
        if len(steps) <= _MOST_ROWS:
            return steps
        places = {round(part * (len(steps) - 1) / (_MOST_ROWS - 1)) for part in range(_MOST_ROWS)}
        return [steps[place] for place in sorted(places)]

    def value_at(self, curve: Curve, step: int) -> str:
        """Return the value of a line at a step as text."""
        return number_text(dict(curve.points).get(step), 2)


@dataclass(frozen=True)
class Validation:
    """The stored validations of one run: step, mean, and value by task."""

    run: Run
    lines: tuple[tuple[int, float, dict[str, float]], ...]


def charts_of(plan: Plan, sources: PlanSources) -> list[Chart]:
    """Return a chart over all trainings, and one per method over its tasks."""
    found = [validation for validation in map(_validation, plan.runs) if validation.lines]
    if not found:
        return []
    methods = list(dict.fromkeys(validation.run.method.id for validation in found))
    several = len({validation.run.train.seed for validation in found}) > 1
    curves = []
    for validation in found:
        run = validation.run
        label = f"{run.method.label}, seed {run.train.seed}" if several else run.method.label
        points = tuple((step, score) for step, score, _ in validation.lines)
        curves.append(Curve(label, points, line_style(methods.index(run.method.id))))
    title = "Validation PSNR by step, mean over tasks"
    charts = [Chart(title, "dB", tuple(curves), _sections(plan, sources, methods))]
    for method in methods:
        first = next(item for item in found if item.run.method.id == method)
        charts.append(_chart_of_tasks(first, _sections(plan, sources, [method])))
    return charts


def line_style(place: int) -> str:
    """Return the classes of the line at a place: colours first, then dashes too."""
    dashed = " dashed" if place >= COLOURS else ""
    return f"c{place % COLOURS}{dashed}"


def _chart_of_tasks(validation: Validation, sections: str) -> Chart:
    run = validation.run
    curves = []
    for place, task in enumerate(validation.lines[-1][2]):
        points = []
        for step, _, per_task in validation.lines:
            if task in per_task:
                points.append((step, per_task[task]))
        curves.append(Curve(task, tuple(points), line_style(place)))
    title = f"{run.method.label}, seed {run.train.seed}: validation PSNR by task"
    return Chart(title, "dB", tuple(curves), sections)


def _sections(plan: Plan, sources: PlanSources, methods: Sequence[str]) -> str:
    numbers: list[int] = []
    for method in methods:
        numbers += sources.runs[method]
    return joined([*numbers, sources.scoring])


def _validation(run: Run) -> Validation:
    """Return what is stored of a training; lines that are not finite are left out.

    Raises:
        HarnessError: a line of the file is no validation.
    """
    lines = []
    path = run.folder.validation
    for where, content in read_lines(path) if path.exists() else []:
        try:
            step, score = int(content["step"]), float(content["score"])
            per_task = {task: float(value) for task, value in content["per_task"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise HarnessError(
                f"{where}, is no validation ({error}); move the file away"
            ) from error
        if math.isfinite(score) and all(map(math.isfinite, per_task.values())) and per_task:
            lines.append((step, score, per_task))
    return Validation(run, tuple(lines))


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two values, a few of them."""
    if high <= low:
        return [low]
    raw = (high - low) / _MOST_TICKS
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step)
    return [step * count for count in range(first, math.floor(high / step) + 1)]
