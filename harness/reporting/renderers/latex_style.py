"""How a table is set for a paper: the page it must fit, and the conventions of the venue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.config.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Page:
    """A page of two columns.

    Attributes:
        column_pt: width of a column.
        page_pt: width of both columns.
        caption_above: whether captions of tables stand above them.
        documentclass: the first lines of a document of this kind.
    """

    column_pt: float
    page_pt: float
    caption_above: bool
    documentclass: str


_ARTICLE = (
    "\\documentclass[10pt,twocolumn]{{article}}\n"
    "\\usepackage[letterpaper,textwidth={width},textheight={height},columnsep={gap}]{{geometry}}"
)
PAGES: Mapping[str, Page] = {
    "plain": Page(229.0, 468.0, True, _ARTICLE.format(width="468pt", height="9in", gap="10pt")),
    "ieee": Page(252.0, 516.0, True, r"\documentclass[10pt,conference]{IEEEtran}"),
    "cvpr": Page(
        *(237.0, 496.0, False),
        _ARTICLE.format(width="6.875in", height="8.875in", gap="0.3125in"),
    ),
}
"""``plain``: two-column article; ``ieee``: IEEEtran; ``cvpr``: the kit of CVPR and ICCV."""


@dataclass(frozen=True)
class LatexStyle:
    """What a reader of a paper sees of a table.

    Attributes:
        name: ``plain``, ``ieee`` or ``cvpr``.
        cells: ``two`` gives every metric columns of its own, ``one`` joins them as PSNR / SSIM.
        siunitx: whether numbers go through ``\\num`` of the package siunitx.
        standalone: whether a whole document is written, which compiles as it is.
    """

    name: str = "plain"
    cells: Literal["one", "two"] = "two"
    siunitx: bool = False
    standalone: bool = False

    def __post_init__(self) -> None:
        if self.name not in PAGES:
            raise UsageError(f"--style {self.name} is unknown; {did_you_mean(self.name, PAGES)}")

    @property
    def page(self) -> Page:
        """The page that tables of this style must fit."""
        return PAGES[self.name]

    @property
    def suffix(self) -> str:
        """What is added to the name of the file."""
        return f"-{self.name}-standalone" if self.standalone else f"-{self.name}"

    @property
    def packages(self) -> list[str]:
        """The lines of the preamble that a table of this style needs."""
        lines = [r"\usepackage{booktabs}"]
        if self.siunitx:
            # Figures keep the weight of the text around them, so that the best is bold.
            lines.append(r"\usepackage[mode=text]{siunitx}")
            lines.append(
                r"\makeatletter\@ifpackagelater{siunitx}{2021/05/17}"
                r"{\sisetup{reset-text-series=false}}{\sisetup{detect-weight}}\makeatother"
            )
        return lines


def document(table: str, style: LatexStyle) -> str:
    """Return a document that holds one table and compiles as it is."""
    lines = [
        style.page.documentclass,
        *style.packages,
        r"\pagestyle{empty}",
        r"\begin{document}",
        table.rstrip(),
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"
