"""Which experts or prompts the images of each kind are given, at every level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.reporting.figures.heat import HeatMap, draw_heat, legible_width_in, size_in
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.stored_prompts import prompt_uses, without_prompts
from harness.reporting.figures.style import LINE_IN, new_figure, plain, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDS_IMAGES = False
NEEDS_SCORES = True
left_out = without_prompts


def draw(asked: FigureRequest) -> Figure:
    """Return a row of matrices for each run: one per level, its rows columns or tasks.

    Raises:
        HarnessError: nothing on prompts is stored.
        UsageError: the width that is asked for is too small to be legible.
    """
    import numpy as np

    uses = prompt_uses(asked.plan)
    levels = max(len(use.expert_load) for use in uses)
    sizes = []
    for use in uses:
        experts = max(len(load[0]) for load in use.expert_load.values())
        labels = (use.names, [str(expert) for expert in range(experts)])
        sizes.append(size_in(labels, "0.00", lines=2))
    wide_in = max(width_in for width_in, _ in sizes)
    titles = [wrapped(use.label, wide_in) for use in uses]
    heights = []
    for title, (_, height_in) in zip(titles, sizes, strict=True):
        heights.append(height_in + title.count("\n") * LINE_IN)
    width_in = legible_width_in(asked, "full", levels * wide_in)
    figure = new_figure(width_in, sum(heights) + 0.3)
    grids = figure.subplots(
        len(uses), levels, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for use, title, places in zip(uses, titles, grids, strict=True):
        for place in places[len(use.expert_load) :]:
            place.set_axis_off()
        for number, (level, load) in enumerate(use.expert_load.items()):
            values = np.array(load, dtype=float)
            experts_shown = [str(expert) for expert in range(values.shape[1])]
            rows = use.names if number == 0 else [""] * len(use.names)
            heat = HeatMap(f"{title}\n{plain(level)}", (0, 1), ".2f")
            draw_heat(places[number], values, (rows, experts_shown), heat)
    figure.supxlabel("expert; fields: share of the weight that the images of a row give it")
    return figure
