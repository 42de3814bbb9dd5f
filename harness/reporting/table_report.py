"""A table that can be shown in every form and written to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reporting.renderers import csv, latex, markdown, terminal
from harness.reporting.renderers.latex_style import LatexStyle
from harness.reporting.table import Table
from harness.reporting.table_files import check_free, marked
from harness.store.files import file_name, remove_leftovers, write_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TableReport:
    """A filled table.

    Attributes:
        table: the model that all forms are made from.
        stem: name of its files, without their suffixes.
        identity: what tells it from other tables; empty where nobody asked for a name.
        warnings: sentences on what a reader must know before using the numbers.
    """

    table: Table
    stem: str
    identity: str = field(default="", kw_only=True)
    warnings: tuple[str, ...] = field(default=(), kw_only=True)

    def to_text(self, colour: bool = False, width: int | None = None) -> str:
        """Return the table for a terminal of ``width`` characters, None for one of any width.

        Without colours best is ``*`` and second ``_``.
        """
        return terminal.render(self.table, colour, width)

    def to_markdown(self) -> str:
        """Return the table in GitHub-flavoured Markdown."""
        return markdown.render(self.table)

    def to_latex(self, style: LatexStyle | str | None = None) -> str:
        """Return the table in LaTeX.

        Args:
            style: that of a venue, as ``"ieee"``, ``"cvpr"`` or ``"plain"``, or with more choices
                :class:`~harness.reporting.renderers.latex_style.LatexStyle`; without one the
                table's own layout, which needs booktabs alone.

        Raises:
            UsageError: the style is unknown.
        """
        return latex.render(self.table, LatexStyle(style) if isinstance(style, str) else style)

    def to_csv(self) -> str:
        """Return one line per value, in full precision."""
        return csv.render(self.table)

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row per value, in full precision; missing values have no row."""
        import pandas as pd

        frame = pd.DataFrame(list(self.table.records), columns=list(self.table.fields))
        for name in ("rank", "images_scored", "images_expected"):
            if name in frame:
                frame[name] = frame[name].astype("Int64")
        return frame

    def write(self, folder: Path, style: LatexStyle | None = None) -> list[Path]:
        """Write the table to ``folder`` as CSV, Markdown and LaTeX, and return the paths.

        With ``style`` a second LaTeX file is written, whose name ends in the style's.

        Raises:
            UsageError: another table is stored there under the name of this one.
        """
        texts = {".csv": self.to_csv(), ".md": self.to_markdown(), ".tex": self.to_latex()}
        if self.identity:
            check_free(folder, self.stem, self.identity)
            texts = marked(texts, self.identity)
        paths = write_texts(folder, self.stem, texts)
        if style is not None:
            paths += write_texts(folder, self.stem + style.suffix, {".tex": self.to_latex(style)})
        return paths

    def __str__(self) -> str:
        return self.to_text()


def write_texts(folder: Path, stem: str, texts: Mapping[str, str]) -> list[Path]:
    """Write each text to ``folder`` under its suffix, and return the paths.

    The Markdown file, which says what table it holds, comes first: after a kill no file of the
    table stands alone and looks like another's.
    """
    remove_leftovers(folder)
    paths = {suffix: folder / f"{file_name(stem)}{suffix}" for suffix in texts}
    for suffix in sorted(texts, key=lambda suffix: suffix != ".md"):
        write_text(paths[suffix], texts[suffix])
    return list(paths.values())
