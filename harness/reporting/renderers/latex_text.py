"""Words and values in LaTeX."""

from __future__ import annotations

import re

from harness.reporting.table import MISSING, Cell, Column, Marking

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
    "Δ": r"$\Delta$",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "§": r"$^{\S}$",
    "¶": r"$^{\P}$",
    "–": "--",
    "—": "---",
    "’": "'",
    "…": r"\dots{}",
}
"""Characters that LaTeX reads as commands or that its fonts lack, and what prints them."""

NEEDS = "% Needs \\usepackage{booktabs}."
"""First line of every table."""

MARKING = Marking("best bold", "second underlined")
"""How best and second are marked."""


_NEEDS_OTHER = (
    "% Holds characters that pdfLaTeX lacks: compile with XeLaTeX or LuaLaTeX, and a font that has "
    "them,\n% as with \\usepackage{fontspec}\\setmainfont{Noto Serif CJK SC}."
)
_LAST_OF_PDFLATEX = 0x17F
"""Code of the last letter that pdfLaTeX prints without further packages."""


def header(text: str) -> str:
    """Return the comments over a table whose source is ``text``: what it needs."""
    needs_other = any(ord(character) > _LAST_OF_PDFLATEX for character in text)
    return f"{NEEDS}\n{_NEEDS_OTHER}" if needs_other else NEEDS


def value(text: str) -> str:
    """Return figures as LaTeX, with minus signs instead of hyphens."""
    if text == MISSING:
        return text
    parts = re.split(r"(?<![\w-])-(?=\d)", text)
    return "$-$".join(map(escape, parts))


def escape(text: str) -> str:
    """Return ``text`` as LaTeX source; :func:`header` says what its characters need."""
    parts: list[str] = []
    for character in text:
        if character in SPECIAL:
            parts.append(SPECIAL[character])
        elif character == "-" and parts and parts[-1] == "-":
            parts.append("{}-")  # two hyphens would become a dash
        else:
            is_shown = character.isprintable() and not character.isspace()
            parts.append(character if is_shown else " " if character.isspace() else "?")
    return "".join(parts)


def float_label(name: str) -> str:
    """Return the label of a float: signs that a reference cannot hold become hyphens."""
    return re.sub(r"[^a-zA-Z0-9-]+", "-", name)


def breakable(text: str) -> str:
    """Let a line end behind the slashes of repositories and files, and print the missing sign."""
    text = text.replace(escape(MISSING), MISSING)
    return re.sub(r"(?<=\S)/(?=\S)", r"/\\allowbreak{}", text)


def ranked(text: str, rank: int | None) -> str:
    """Return a value, bold if it is the best and underlined if it is the second."""
    return marked(value(text), rank)


def marked(source: str, rank: int | None) -> str:
    """Return LaTeX source, bold for the best and underlined for the second."""
    command = {1: r"\textbf", 2: r"\underline"}.get(rank or 0, "")
    return rf"{command}{{{source}}}" if command else source


def with_spread(cell: Cell) -> str:
    """Return a value marked by its rank; its spread stays small and plain."""
    narrow = cell.narrow
    number, sign, spread = narrow.text.partition("±")
    shown = ranked(number, narrow.rank)
    return rf"{shown}{{\tiny$\pm${escape(spread)}}}" if sign else shown


def column_label(column: Column) -> str:
    """Return the heading of a column below its group."""
    return escape(column.label) if column.latex_label is None else column.latex_label


def centred(text: str, columns: int) -> str:
    """Return a heading over several columns."""
    return rf"\multicolumn{{{columns}}}{{c}}{{{text}}}"


def rule_below(first: int, columns: int) -> str:
    """Return the rule below a heading that begins at column ``first`` (from 1)."""
    return rf"\cmidrule(lr){{{first}-{first + columns - 1}}}"
