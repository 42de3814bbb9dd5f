"""The audit of published averages as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.published.audit import RULE, Audit, Contradiction, Discrepancy, audit
from harness.published.reading import load_published
from harness.published.tables import tables_of
from harness.reporting.renderers.folding import Sheet, folded

_HEADS = (*("table", "method", "metric", "printed", "recomputed", "difference", "over", "remark"),)
_OVER_WIDTH, _REMARK_WIDTH = 24, 44
_GAP = 2


@dataclass(frozen=True)
class AuditReport:
    """What recomputing the averages of some tables found."""

    tables: int
    found: Audit

    @property
    def all_agree(self) -> bool:
        """Whether every average follows from its values and no two tables contradict."""
        return not self.found.discrepancies and not self.found.contradictions

    def to_text(self, width: int | None = None) -> str:
        """Return what was recomputed, and a table of what does not agree.

        ``width`` is that of the terminal in characters; None sets no limit.
        """
        if width is None:
            return "\n".join(self._lines(None))
        parts = []
        for part in self._lines(width):
            parts.append(part if "\n" in part else textwrap.fill(part, width))
        return "\n".join(parts)

    def _lines(self, width: int | None) -> Iterator[str]:
        found = self.found
        count = len(found.discrepancies)
        yield (
            f"{found.averages} printed averages of {self.tables} published tables recomputed, "
            f"{count} of them {'does' if count == 1 else 'do'} not agree. Rule: {RULE}."
        )
        if found.discrepancies:
            yield _listed(found.discrepancies, width)
        if found.repeated:
            yield (
                f"{found.repeated} values are printed in two tables of a setting; "
                f"{len(found.contradictions)} of them differ by more than rounding."
            )
        for pair in found.contradictions:
            yield _contradiction(pair)


def audit_report(setting: str | None = None) -> AuditReport:
    """Recompute every printed average of a setting's tables, of all tables without one.

    Raises:
        UsageError: nothing is published of the setting.
    """
    tables = list(load_published())
    if setting is not None:
        tables = tables_of(tables, setting)
    return AuditReport(len(tables), audit(tables))


def _contradiction(pair: Contradiction) -> str:
    one, other = pair.first, pair.second
    return (
        f"  {one.setting}, {one.method}, {one.dataset}, {one.metric}: {one.value} in "
        f"{one.source} {one.table}, {other.value} in {other.source} {other.table}"
    )


def _listed(discrepancies: Sequence[Discrepancy], width: int | None) -> str:
    from tabulate import tabulate

    lines = []
    for item in discrepancies:
        lines.append(
            [
                f"{item.row.source} {item.row.table}",
                item.row.method,
                item.row.metric.upper(),
                str(item.row.value),
                str(item.recomputed),
                f"{item.difference:+}",
                textwrap.fill(item.over, _OVER_WIDTH),
                textwrap.fill(item.remark, _REMARK_WIDTH),
            ]
        )
    alignment = ["left", "left", "left", "right", "right", "right", "left", "left"]
    whole = Sheet(_HEADS, lines, alignment)
    grids = []
    for sheet in [whole] if width is None else folded(whole, width, _GAP):
        grids.append(
            tabulate(
                sheet.lines,
                headers=sheet.heads,
                disable_numparse=True,
                colalign=sheet.alignment,
            )
        )
    return "\n\n".join(grids)
