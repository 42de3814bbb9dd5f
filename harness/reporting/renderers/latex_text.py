"""Words and values in LaTeX."""

from __future__ import annotations

from harness.reporting.table import Cell, Column

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
    "σ": r"$\sigma$",
    "β": r"$\beta$",
    "Δ": r"$\Delta$",
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

MARKING = "best bold, second underlined"
"""How best and second are marked."""


def escape(text: str) -> str:
    """Return ``text`` so that pdfLaTeX prints it; what it cannot print becomes ``?``."""
    parts: list[str] = []
    for character in text:
        if character in SPECIAL:
            parts.append(SPECIAL[character])
        elif character == "-" and parts and parts[-1] == "-":
            parts.append("{}-")  # two hyphens would become a dash
        else:
            printable = character.isprintable() and ord(character) < 0x250
            parts.append(character if printable else " " if character.isspace() else "?")
    return "".join(parts)


def ranked(text: str, rank: int | None) -> str:
    """Return a value, bold if it is the best and underlined if it is the second."""
    command = {1: r"\textbf", 2: r"\underline"}.get(rank or 0, "")
    return rf"{command}{{{escape(text)}}}" if command else escape(text)


def with_spread(cell: Cell) -> str:
    """Return a value marked by its rank; its spread stays small and plain."""
    value, sign, spread = (cell.short_text or cell.text).partition("±")
    shown = ranked(value, cell.rank)
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
