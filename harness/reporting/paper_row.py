"""A row of a paper's table, cited or of this project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ValueKey = tuple[str, str]
"""Column name (or ``average``) and id of the cited metric."""


@dataclass(frozen=True)
class PaperValue:
    """One value.

    Attributes:
        text: as shown.
        exact: in full precision; of a cited value, as printed.
        rank: 1, 2 or None.
        notes: footnotes.
        spread: standard deviation over seeds, None without one.
        scored: images and seeds behind a value of this project.
        expected: of a complete value.
    """

    text: str
    exact: str
    rank: int | None = None
    notes: tuple[str, ...] = ()
    spread: float | None = None
    scored: int | None = None
    expected: int | None = None


@dataclass(frozen=True)
class PaperRow:
    """One method; ``delta`` is its average minus the cited one, by metric, as shown."""

    method: str
    venue: str
    type: str
    values: Mapping[ValueKey, PaperValue]
    notes: tuple[str, ...] = ()
    delta: Mapping[str, str] = field(default_factory=dict)
    protocol: str = ""
    params: str = ""


def ranks_of(rows: Iterable[PaperRow]) -> set[int | None]:
    """Return the ranks that any value of ``rows`` has."""
    ranks: set[int | None] = set()
    for row in rows:
        ranks |= {value.rank for value in row.values.values()}
    return ranks
