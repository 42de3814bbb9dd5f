"""Kinds of figures, by the name that the command line has for them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from harness.config.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.planning.plan import Plan
    from harness.reporting.figures.left_out import LeftOut
    from harness.reporting.figures.request import FigureRequest

FIGURES = {
    "cost": "harness.reporting.figures.cost",
    "curves": "harness.reporting.figures.curves",
    "differences": "harness.reporting.comparison.differences",
    "errors": "harness.reporting.figures.errors",
    "grid": "harness.reporting.figures.grid",
    "routing": "harness.reporting.figures.routing",
    "scatter": "harness.reporting.figures.scatter",
    "steps": "harness.reporting.figures.steps",
    "swap": "harness.reporting.figures.swap",
}
"""The module of each kind of figure."""


class FigureModule(Protocol):
    """What a module of :data:`FIGURES` has."""

    NEEDS_IMAGES: bool
    NEEDS_SCORES: bool

    def left_out(self, plan: Plan) -> LeftOut:
        """Return the methods or runs that the figure is without."""
        ...

    def draw(self, asked: FigureRequest) -> Figure:
        """Return the figure.

        Raises:
            HarnessError: nothing is stored that it could show; says what to run.
        """
        ...


def figure_module(kind: str) -> FigureModule:
    """Return the module of a kind of figure.

    Raises:
        UsageError: there is no such kind; the nearest is named.
    """
    if kind not in FIGURES:
        raise UsageError(f"there is no figure '{kind}'; {did_you_mean(kind, FIGURES)}")
    return cast(FigureModule, importlib.import_module(FIGURES[kind]))
