"""Critical-difference diagrams: average ranks on a line, bars over what is not told apart.

Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets (2006), figure 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reporting.comparison.rank_tests import LEVEL
from harness.reporting.comparison.ranking import Ranking
from harness.reporting.comparison.values import CommonValues
from harness.reporting.figures.style import (
    LINE_IN,
    WIDTHS_IN,
    new_figure,
    paper_style,
    plain,
    save,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE_IN = 0.2
_NAME_IN, _NAME_LINES = 1.75, 3
"""Width of a method's name beside the axis, and the lines that it may take."""
_RANK_IN = 0.4
"""Width of a rank behind a name."""
_PER_LINE = 0.8
"""Height of a name per line of its text, in lines of the figure."""
_BAR_STEP = 0.35
"""Lines between two bars below the axis."""


@dataclass(frozen=True)
class _Layout:
    """How many methods there are, the height of all bars, and that of a name."""

    methods: int
    bars: float
    line: float


def draw_ranking(found: Ranking, common: CommonValues, stem: Path) -> list[Path]:
    """Draw the average ranks in one metric, and return the files.

    Best is at the left. The better half of the methods is named at the left side and the others
    at the right, each with its rank.
    """
    names = {metric.id: metric.label for metric in common.request.metrics}
    with paper_style():
        figure = _drawn(found, common.labels, names[found.metric])
    metric = found.metric.replace(":", "-")
    return save(figure, stem.with_name(f"{stem.name}-{metric}-ranks"))


def _drawn(found: Ranking, labels: dict[str, str], metric: str) -> Figure:
    methods = len(found.ranks)
    texts = []
    for name, rank in found.ranks.items():
        label = wrapped(labels[name], _NAME_IN - _RANK_IN, most_lines=_NAME_LINES)
        texts.append(f"{label}  {rank:.2f}")
    # Lines are as high as the names that stand on them.
    line = max(text.count("\n") + 1 for text in texts) * _PER_LINE
    bars = _BAR_STEP * (len(found.groups) + 1)
    lines = bars + line * ((methods + 1) // 2)
    height_in = _LINE_IN * (lines + 5)
    figure = new_figure(WIDTHS_IN["full"], height_in, is_placed=True)
    margin = (_NAME_IN + 0.05) / WIDTHS_IN["full"]
    title = 2.6 * LINE_IN / height_in
    axes = figure.add_axes((margin, 0.0, 1 - 2 * margin, 1 - title))
    axes.set_axis_off()
    side = 0.05 * (methods - 1)
    axes.set_xlim(1 - side, methods + side)
    axes.set_ylim(-lines - 0.5, 3.2)
    _draw_axis(axes, methods)
    _draw_critical_difference(axes, found.critical_difference, methods)
    for level, group in enumerate(found.groups):
        ends = found.ranks[group[0]], found.ranks[group[-1]]
        height = -_BAR_STEP * (level + 1)
        reach = 0.01 * (methods - 1)
        axes.plot(
            [ends[0] - reach, ends[1] + reach],
            [height, height],
            color="black",
            linewidth=3,
            solid_capstyle="butt",
        )
    for place, (text, rank) in enumerate(zip(texts, found.ranks.values(), strict=True)):
        _draw_method(axes, (place, rank), text, _Layout(methods, bars, line))
    figure.suptitle(plain(_title(found, metric)), y=1 - 0.05 / height_in, va="top")
    return figure


def _title(found: Ranking, metric: str) -> str:
    p = "p < 0.001" if found.friedman_p < 0.001 else f"p = {found.friedman_p:.3f}"
    over = f"{found.blocks} {found.over_words}"
    title = f"Average rank in {metric} (1 is best) over {over}\nFriedman's test: {p}"
    if found.friedman_p >= LEVEL:
        title += ", no difference found"
    return title


def _draw_axis(axes: Axes, methods: int) -> None:
    axes.plot([1, methods], [0, 0], color="black", linewidth=0.8)
    for rank in range(1, methods + 1):
        axes.plot([rank, rank], [0, 0.3], color="black", linewidth=0.8)
        axes.text(rank, 0.45, str(rank), ha="center", va="bottom")


def _draw_critical_difference(axes: Axes, critical: float, methods: int) -> None:
    """Draw the critical difference to scale over the axis; one beyond it ends in an arrow."""
    end = min(1 + critical, methods)
    axes.plot([1, end], [2.0, 2.0], color="black", linewidth=1.2)
    axes.plot([1, 1], [1.8, 2.2], color="black", linewidth=1.2)
    if end < 1 + critical:
        axes.plot([end], [2.0], marker=">", color="black", markersize=5)
    else:
        axes.plot([end, end], [1.8, 2.2], color="black", linewidth=1.2)
    text = f"critical difference {critical:.2f} (Nemenyi, 0.05)"
    axes.text(1, 2.3, text, ha="left", va="bottom")


def _draw_method(axes: Axes, at: tuple[int, float], text: str, layout: _Layout) -> None:
    """Draw a line from a rank to its name; ``at`` is place and rank."""
    place, rank = at
    methods = layout.methods
    left = (methods + 1) // 2
    is_left = place < left
    line = place if is_left else methods - 1 - place
    height = -layout.bars - layout.line * line - 0.4
    margin = 0.03 * (methods - 1)
    end = 1 - margin if is_left else methods + margin
    axes.plot([rank, rank, end], [0, height, height], color="0.4", linewidth=0.7, zorder=1)
    axes.text(
        end - margin / 2 if is_left else end + margin / 2,
        height,
        text,
        ha="right" if is_left else "left",
        va="center",
    )
