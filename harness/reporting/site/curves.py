"""Validation curves of trainings as SVG, with a table of the same numbers for those who cannot see.

No colour is written into the SVG: classes of the style sheet follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.site.overview import PlanSources
from harness.reporting.site.rendering import number_text
from harness.reporting.site.sources import joined
from harness.reporting.training_course import LOSS, MEAN, Course, course_of

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
    def decimals(self) -> int:
        """Decimals of its values."""
        return 2 if self.unit else 4

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
        unit = f", in {self.unit}" if self.unit else ""
        for curve in self.curves:
            (first, start), (last, end) = curve.points[0], curve.points[-1]
            parts.append(
                f"{curve.label}: {number_text(start, self.decimals)} at step {first}, "
                f"{number_text(end, self.decimals)} at step {last}"
            )
        return f"{self.title}{unit}. {'; '.join(parts)}."

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
        return number_text(dict(curve.points).get(step), self.decimals)


@dataclass(frozen=True)
class Training:
    """A run, and what is stored of its course."""

    run: Run
    course: Course

    def points(self, name: str) -> tuple[tuple[int, float], ...]:
        """Return steps and finite values of what ``name`` says."""
        found = []
        for step, values in self.course.items():
            if math.isfinite(values.get(name, math.nan)):
                found.append((step, values[name]))
        return tuple(found)

    @property
    def names(self) -> list[str]:
        """What there are values of."""
        found: dict[str, None] = {}
        for values in self.course.values():
            found |= dict.fromkeys(values)
        return list(found)


def charts_of(plan: Plan, sources: PlanSources) -> list[Chart]:
    """Return a chart over all trainings, and per method one over its tasks and one over losses.

    Raises:
        HarnessError: what is stored of a training is damaged.
    """
    found = [Training(run, course_of(run)) for run in plan.runs]
    trained = [training for training in found if training.points(MEAN)]
    if not trained:
        return []
    methods = list(dict.fromkeys(training.run.method.id for training in trained))
    several = len({training.run.train.seed for training in trained}) > 1
    curves = []
    for training in trained:
        run = training.run
        label = f"{run.method.label}, seed {run.train.seed}" if several else run.method.label
        style = line_style(methods.index(run.method.id))
        curves.append(Curve(label, training.points(MEAN), style))
    title = "Validation PSNR by step, mean over tasks"
    charts = [Chart(title, "dB", tuple(curves), _sections(sources, methods))]
    for method in methods:
        first = next(training for training in trained if training.run.method.id == method)
        charts += _charts_of_training(first, _sections(sources, [method]))
    return charts


def line_style(place: int) -> str:
    """Return the classes of the line at a place: colours first, then dashes too."""
    dashed = " dashed" if place >= COLOURS else ""
    return f"c{place % COLOURS}{dashed}"


def _charts_of_training(training: Training, sections: str) -> list[Chart]:
    run = training.run
    tasks = [name for name in training.names if name != MEAN and not name.startswith(LOSS)]
    losses = [name for name in training.names if name.startswith(LOSS)]
    charts = []
    for what, unit, names in (("validation PSNR by task", "dB", tasks), ("losses", "", losses)):
        curves = []
        for place, name in enumerate(names):
            points = training.points(name)
            if points:
                curves.append(Curve(name.removeprefix(LOSS), points, line_style(place)))
        if curves:
            title = f"{run.method.label}, seed {run.train.seed}: {what}"
            charts.append(Chart(title, unit, tuple(curves), sections))
    return charts


def _sections(sources: PlanSources, methods: Sequence[str]) -> str:
    numbers: list[int] = []
    for method in methods:
        numbers += sources.runs[method]
    return joined([*numbers, sources.scoring])


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two values, a few of them."""
    if high <= low:
        return [low]
    raw = (high - low) / _MOST_TICKS
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step)
    return [step * count for count in range(first, math.floor(high / step) + 1)]
