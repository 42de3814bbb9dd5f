"""What a figure is asked to show."""

from __future__ import annotations

from dataclasses import dataclass

from harness.planning.image_choice import Name
from harness.planning.plan import Plan
from harness.reporting.figures.crops import CropRule


@dataclass(frozen=True)
class FigureRequest:
    """A figure of what is stored of a plan.

    Attributes:
        plan: whose runs are shown.
        width_in: width of the figure in inches; None takes what the kind needs.
        names: column and image of the test pairs in its rows, for kinds that show images.
        crop: which part of each image is shown enlarged.
    """

    plan: Plan
    width_in: float | None = None
    names: tuple[Name, ...] = ()
    crop: CropRule = "auto"
