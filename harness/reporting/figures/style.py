"""The style of all figures: sizes of a paper's columns, fonts, colours, and how they are saved."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.store.files import file_name, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTHS_IN = {"column": 3.3, "full": 6.9}
"""Widths of a column and of a page of two columns, in inches."""

FONT_PT, SMALL_PT = 8.0, 7.0
"""Sizes of text, and of the numbers on axes and in matrices."""

FONT = "DejaVu Sans"
"""It comes with matplotlib, and so is the same on every machine."""

LINE_IN = 1.2 * FONT_PT / 72
"""Height of a line of text in inches."""

PNG_DPI = 300

_LONGEST_NAME = 240
"""Bytes of a file's name without its suffix; what tells figures apart stands at its end."""

OKABE_ITO = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#8B7500"),
)
"""Colours that remain apart for colour-blind readers: Okabe and Ito, Color Universal Design (2008).

Their yellow is too light for lines on white and is replaced by a dark one.
"""

MARKERS = "osD^vPX*<>"
"""Shapes of points, so that colour is never the only difference."""

SEQUENTIAL = "cividis"
"""Colours of matrices and maps: even in lightness, and the same for colour-blind readers."""

_KEY_IN = 0.45
"""Width of the sign before a label of a legend, and of the gaps around it."""

_BREAK = re.compile(r"(?<=[\s:+\-_,=/])")


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw and save in the style of a paper; fonts are embedded as outlines that can be edited."""
    import matplotlib as mpl

    style: Any = {
        "font.size": FONT_PT,
        "axes.titlesize": FONT_PT,
        "axes.labelsize": FONT_PT,
        "xtick.labelsize": SMALL_PT,
        "ytick.labelsize": SMALL_PT,
        "legend.fontsize": FONT_PT,
        "figure.titlesize": FONT_PT,
        "figure.labelsize": FONT_PT,
        "font.family": FONT,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "axes.axisbelow": True,
        "grid.linewidth": 0.4,
        "grid.color": "0.88",
        "lines.linewidth": 1.2,
        "lines.markersize": 4,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "legend.frameon": False,
        "legend.handlelength": 1.6,
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
    }
    with mpl.rc_context(style):
        yield


def new_figure(width_in: float, height_in: float, is_placed: bool = False) -> Figure:
    """Return an empty figure that needs no display.

    ``is_placed`` says that axes are placed by hand and not by a layout.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout=None if is_placed else "constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Save a figure as PNG and PDF, and return the files."""
    paths = []
    for kind, metadata in (("png", {}), ("pdf", {"CreationDate": None})):
        path = stem.with_name(f"{file_name(stem.name, _LONGEST_NAME)}.{kind}")
        content = io.BytesIO()
        # Without a date, an unchanged figure is an unchanged file.
        with paper_style():
            figure.savefig(content, format=kind, dpi=PNG_DPI, metadata=metadata)
        write_bytes(path, content.getvalue())
        paths.append(path)
    return paths


def colour(position: int) -> str:
    """Return the colour of the method or column at a position."""
    return OKABE_ITO[position % len(OKABE_ITO)]


def marker(position: int) -> str:
    """Return the shape of the points of the method or column at a position."""
    return MARKERS[position % len(MARKERS)]


@functools.cache
def text_width_in(text: str, size_pt: float = FONT_PT, weight: str = "normal") -> float:
    """Return the width of a line of text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=FONT, weight=weight, size=size_pt)
    width_pt, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width_pt) / 72


def plain(text: str) -> str:
    """Return text that is drawn as it is; a dollar sign would begin a formula."""
    return text.replace("$", r"\$")


@functools.cache
def wrapped(text: str, width_in: float, most_lines: int = 3, size_pt: float = FONT_PT) -> str:
    """Break text into lines of at most ``width_in``, after spaces and signs where that is possible.

    What does not fit the lines is cut, and an ellipsis says so.
    """
    lines = [""]
    for part in _BREAK.split(text):
        if text_width_in((lines[-1] + part).rstrip(), size_pt) <= width_in:
            lines[-1] += part
            continue
        if lines[-1]:
            lines.append("")
        for sign in part:
            if lines[-1] and text_width_in(lines[-1] + sign, size_pt) > width_in:
                lines.append("")
            lines[-1] += sign
    if len(lines) > most_lines:
        lines = lines[:most_lines]
        lines[-1] = f"{lines[-1].rstrip()[:-1]}…"
    return plain("\n".join(line.strip() for line in lines))


def panels(count: int, width_in: float, least_in: float) -> tuple[int, int]:
    """Return rows and columns of ``count`` panels that are at least so wide, side by side."""
    across = max(1, min(count, int(width_in / least_in)))
    rows = -(-count // across)
    return rows, -(-count // rows)


def legend_above(figure: Figure, axes: Axes, width_in: float) -> None:
    """Put one legend for all panels above them, in as many columns as fit.

    The figure becomes higher by the lines after the first, so that panels keep their height.
    """
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    # Labels have their dollar signs escaped already.
    labels = [wrapped(label.replace(r"\$", "$"), width_in - _KEY_IN) for label in labels]
    lines = list(map(str.splitlines, labels))
    widest = max(text_width_in(line) for line in chain.from_iterable(lines)) + _KEY_IN
    columns = max(1, min(len(labels), int(width_in / widest)))
    rows = -(-len(labels) // columns)
    gap_in = 0.5 * FONT_PT / 72
    height_in = LINE_IN * (rows * max(map(len, lines)) - 1) + gap_in * (rows - 1)
    figure.set_size_inches(width_in, figure.get_size_inches()[1] + height_in)
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, columnspacing=1.2)


def hide_rest(axes: Sequence[Axes], used: int, across: int) -> None:
    """Hide the panels that nothing is drawn in; those above them keep the numbers of their axis."""
    for place in axes[used:]:
        place.set_axis_off()
    for place in axes[max(0, used - across) : used]:
        place.tick_params(labelbottom=True)
