"""Which experts or prompts the images of each kind are given, at every level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.reporting.figures.heat import HeatMap, draw_heat, size_in
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.stored_prompts import prompt_uses
from harness.reporting.figures.style import WIDTHS_IN, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDS_IMAGES = False


def draw(asked: FigureRequest) -> Figure:
    """Return a row of matrices for each run: one per level, its rows kinds of images.

    Raises:
        HarnessError: nothing on prompts is stored.
    """
    import numpy as np

    uses = prompt_uses(asked.plan)
    levels = max(len(use.expert_load) for use in uses)
    widths, heights = [0.0], []
    for use in uses:
        experts = max(len(load[0]) for load in use.expert_load.values())
        labels = (use.names, [str(expert) for expert in range(experts)])
        width_in, height_in = size_in(labels, "0.00", lines=2)
        widths.append(width_in)
        heights.append(height_in)
    width_in = max(asked.width_in or WIDTHS_IN["full"], levels * max(widths))
    figure = new_figure(width_in, sum(heights) + 0.3)
    grids = figure.subplots(
        len(uses), levels, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for use, places in zip(uses, grids, strict=True):
        for place in places[len(use.expert_load) :]:
            place.set_axis_off()
        for number, (level, load) in enumerate(use.expert_load.items()):
            values = np.array(load, dtype=float)
            experts_shown = [str(expert) for expert in range(values.shape[1])]
            rows = use.names if number == 0 else [""] * len(use.names)
            heat = HeatMap(plain(f"{use.label}\n{level}"), (0, 1), ".2f")
            draw_heat(places[number], values, (rows, experts_shown), heat)
    figure.supxlabel("expert; fields: share of the weight that each kind of images gives it")
    return figure
