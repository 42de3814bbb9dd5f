"""The audit of published averages as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.published.audit import RULE, Audit, Contradiction, Discrepancy, audit
from harness.published.reading import load_published
from harness.published.tables import tables_of

_HEADS = (*("table", "method", "metric", "printed", "recomputed", "difference", "over", "remark"),)
_COLUMN_WIDTHS = (None, None, None, None, None, None, 24, 44)


@dataclass(frozen=True)
class AuditReport:
    """What recomputing the averages of some tables found."""

    tables: int
    found: Audit

    @property
    def all_agree(self) -> bool:
        """Whether every average follows from its values and no two tables contradict."""
        return not self.found.discrepancies and not self.found.contradictions

    def to_text(self) -> str:
        """Return what was recomputed, and a table of what does not agree."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        found = self.found
        count = len(found.discrepancies)
        yield (
            f"{found.averages} printed averages of {self.tables} published tables recomputed, "
            f"{count} of them {'does' if count == 1 else 'do'} not agree. Rule: {RULE}."
        )
        if found.discrepancies:
            yield _listed(found.discrepancies)
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


def _listed(discrepancies: Sequence[Discrepancy]) -> str:
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
                item.over,
                item.remark,
            ]
        )
    return tabulate(
        lines,
        headers=_HEADS,
        disable_numparse=True,
        maxcolwidths=list(_COLUMN_WIDTHS),
        colalign=["left", "left", "left", "right", "right", "right", "left", "left"],
    )
