"""What a figure is without, because a plan's folder does not hold it."""

from __future__ import annotations

from typing import NamedTuple

from harness.planning.plan import Plan
from harness.reporting.plan_summary import results_by_method


class LeftOut(NamedTuple):
    """Methods or runs that a figure is without.

    Attributes:
        names: of them; empty where the figure shows all.
        lacking: what is not stored of them, as in "no scores".
    """

    names: list[str]
    lacking: str


def unscored(plan: Plan) -> LeftOut:
    """Return the methods of which no results are stored."""
    without = [method for method, results in results_by_method(plan).items() if not results]
    return LeftOut(without, "no scores")
