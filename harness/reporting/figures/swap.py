"""What images lose under the prompts of other columns, or tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.reporting.figures.heat import HeatMap, draw_heat, legible_width_in, size_in
from harness.reporting.figures.request import FigureRequest
from harness.reporting.figures.stored_prompts import prompt_uses, without_prompts
from harness.reporting.figures.style import LINE_IN, hide_rest, new_figure, panels, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEEDS_IMAGES = False
NEEDS_SCORES = True
left_out = without_prompts


def draw(asked: FigureRequest) -> Figure:
    """Return a matrix for each run: dB of the row's images under the column's prompts, minus own.

    Raises:
        HarnessError: nothing on prompts is stored.
        UsageError: the width that is asked for is too small to be legible.
    """
    import numpy as np

    uses = prompt_uses(asked.plan)
    losses = []
    for use in uses:
        psnr_db = np.array(use.psnr_db, dtype=float)
        losses.append(psnr_db - np.diag(psnr_db)[:, None])
    known = np.concatenate([lost[np.isfinite(lost)] for lost in losses])
    limits = (min(-1.0, float(known.min(initial=0))), max(0.0, float(known.max(initial=0))))
    sizes = [size_in((use.names, use.names), "-10.0") for use in uses]
    wide_in = max(width_in for width_in, _ in sizes)
    titles = [wrapped(use.label, wide_in) for use in uses]
    lines = max(title.count("\n") + 1 for title in titles)
    high_in = max(height_in for _, height_in in sizes) + (lines - 1) * LINE_IN
    width_in = legible_width_in(asked, "column" if len(uses) == 1 else "full", wide_in)
    rows, across = panels(len(uses), width_in, wide_in)
    figure = new_figure(width_in, rows * high_in + 0.5)
    axes = figure.subplots(rows, across, squeeze=False).ravel()
    for place, use, title, lost in zip(axes, uses, titles, losses, strict=False):
        draw_heat(place, lost, (use.names, use.names), HeatMap(title, limits, "z.1f"))
    hide_rest(list(axes), len(uses), across)
    figure.supxlabel("under the prompts of")
    figure.supylabel("images of")
    return figure
