"""Flags that set a table for a paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.config.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from harness.api import LatexStyle

LATEX_STYLES = ("plain", "ieee", "cvpr")
"""Names of ``--style`` that ask for another LaTeX file."""


@dataclass(frozen=True)
class LatexFlags:
    """How the LaTeX file of a table is set, in addition to the one that is always written."""

    cells: Annotated[
        Literal["one", "two"] | None,
        typer.Option(
            help="With a LaTeX style: two gives every metric columns of its own, one joins them "
            "as PSNR / SSIM.",
            show_default="two",
        ),
    ] = None
    siunitx: Annotated[
        bool, typer.Option("--siunitx", help="With a LaTeX style: numbers through siunitx.")
    ] = False
    standalone: Annotated[
        bool,
        typer.Option("--standalone", help="With a LaTeX style: a document that compiles as it is."),
    ] = False

    def latex(self, name: str | None) -> LatexStyle | None:
        """Return the style called ``name``; a flag that sets LaTeX asks for ``plain`` by itself."""
        from harness.api import LatexStyle

        if name is None and not (self.cells or self.siunitx or self.standalone):
            return None
        return LatexStyle(name or "plain", self.cells or "two", self.siunitx, self.standalone)


def latex_name(text: str | None) -> str | None:
    """Return the LaTeX style of ``--style``, where nothing else may be asked for.

    Raises:
        UsageError: it is no style of LaTeX.
    """
    if text is None or text in LATEX_STYLES:
        return text
    raise UsageError(f"--style {text} is no style of LaTeX; {did_you_mean(text, LATEX_STYLES)}")
