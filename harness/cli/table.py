"""``harness table``: print and write the table of what is stored, computing nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.computing import show_table
from harness.cli.flags import finite
from harness.cli.latex_flags import LATEX_STYLES, LatexFlags
from harness.cli.options import (
    DataFlags,
    EvaluationFlags,
    RequestFlags,
)
from harness.cli.output import has_colours, print_warnings, print_written, terminal_width
from harness.cli.requests import plan_of, request_of
from harness.config.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from harness.api import CitedSelection, LatexStyle, RunRequest


_CONTENTS = ("rows", "paper")


@dataclass(frozen=True)
class PaperFlags(LatexFlags):
    """Whether and which published table is shown, and how LaTeX sets it."""

    style: Annotated[
        str,
        typer.Option(
            help="rows: what is stored; paper: as the literature prints it, with it. plain, ieee "
            "or cvpr: a second LaTeX file for such a page. One of each, comma-separated."
        ),
    ] = "rows"
    source: Annotated[
        str | None,
        typer.Option(help="With --style paper: whose table, as cpl, mioir or survey."),
    ] = None
    years: Annotated[
        str | None,
        typer.Option(help="With --style paper: cited rows of these years, as 2024- or 2023-2025."),
    ] = None
    max_params: Annotated[
        float | None,
        typer.Option(
            min=0,
            callback=finite,
            help="With --style paper: cited rows with at most so many million parameters.",
        ),
    ] = None
    types: Annotated[
        str | None,
        typer.Option(help="With --style paper: cited rows of these types, as All-in-One."),
    ] = None

    def selection(self) -> CitedSelection:
        """Return which rows of a published table are asked for."""
        from harness.api import CitedSelection, parse_years, split_names

        return CitedSelection(
            years=None if self.years is None else parse_years(self.years),
            most_params_m=self.max_params,
            types=split_names(self.types or ""),
        )

    @property
    def is_published(self) -> bool:
        """Whether a published table is asked for."""
        return "paper" in split_style(self.style)

    def latex_style(self) -> LatexStyle | None:
        """Return the style of the second LaTeX file, None if there is none."""
        names = [name for name in split_style(self.style) if name not in _CONTENTS]
        return self.latex(names[0] if names else None)

    def given(self) -> list[str]:
        """Return the flags that only a published table understands, as they are typed."""
        flags = {
            "--source": self.source,
            "--years": self.years,
            "--max-params": self.max_params,
            "--types": self.types,
        }
        return [name for name, value in flags.items() if value is not None]


def split_style(text: str) -> list[str]:
    """Return what ``--style`` names: at most one content and one style of LaTeX.

    Raises:
        UsageError: a name is unknown, or two exclude each other.
    """
    names = [name.strip() for name in text.split(",")]
    known = (*_CONTENTS, *LATEX_STYLES)
    for name in names:
        if name not in known:
            raise UsageError(f"--style {name} is unknown; {did_you_mean(name, known)}")
    for group in (_CONTENTS, LATEX_STYLES):
        both = [name for name in names if name in group]
        if len(both) > 1:
            raise UsageError(f"--style {text} asks for {' and '.join(both)}; name one of them")
    return names


def table(
    request: RequestFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    paper: PaperFlags,
) -> None:
    """Print the table from stored results; what was not computed is shown as missing."""
    asked = request_of({}, request.config, request.values(), data.values(), evaluation.values())
    style = paper.latex_style()
    if paper.is_published:
        if asked.evaluation.test_set is not None:
            raise UsageError("no paper's table is of a --test-set; leave one of them out")
        _show_paper_table(asked, paper, style)
        return
    for flag in paper.given():
        raise UsageError(f"{flag} chooses of a published table; add --style paper")
    from harness.api import check_stored, check_table

    made = plan_of(asked)
    check_stored(made)
    check_table(made)
    show_table(made, style)


def _show_paper_table(request: RunRequest, paper: PaperFlags, style: LatexStyle | None) -> None:
    from harness.api import paper_table

    found = paper_table(request, paper.source, paper.selection())
    paths = found.write(request.out / "tables", style)
    print_warnings(found.warnings)
    print(found.to_text(has_colours(), terminal_width()))
    print_written(paths)
