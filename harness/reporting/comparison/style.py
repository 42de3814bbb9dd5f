"""How the figures of a comparison look, and how they are saved."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.store.files import file_name, write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 200


@dataclass(frozen=True)
class PointLook:
    """How points of one kind are drawn; colours by Okabe and Ito, Color Universal Design (2008)."""

    colour: str
    marker: str


BETTER, NOT_BETTER = PointLook("#0072B2", "o"), PointLook("#D55E00", "v")


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, stem: Path) -> list[Path]:
    """Save a figure as PNG and PDF with text that can be searched, and return the files."""
    import matplotlib as mpl

    paths = []
    for kind, metadata in (("png", {}), ("pdf", {"CreationDate": None})):
        path = stem.with_name(f"{file_name(stem.name)}.{kind}")
        content = io.BytesIO()
        # Without a date, an unchanged figure is an unchanged file.
        with mpl.rc_context({"pdf.fonttype": 42}):
            figure.savefig(content, format=kind, dpi=_DPI, metadata=metadata)
        write_bytes(path, content.getvalue())
        paths.append(path)
    return paths
