"""``harness audit``: do the averages of published tables follow from their values?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.published.audit import Discrepancy


def audit(
    setting: Annotated[
        str | None, typer.Option(help="Tables of this setting only; all without it.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if anything does not agree.")
    ] = False,
) -> None:
    """Recompute every average that published tables print, and list what does not agree."""
    from harness.published.audit import RULE
    from harness.published.audit import audit as audited
    from harness.published.tables import load_published, tables_of

    tables = list(load_published())
    if setting is not None:
        tables = tables_of(tables, setting)
    found = audited(tables)
    count = len(found.discrepancies)
    print(
        f"{found.averages} printed averages of {len(tables)} published tables recomputed, "
        f"{count} of them {'does' if count == 1 else 'do'} not agree. Rule: {RULE}."
    )
    if found.discrepancies:
        print(_listed(found.discrepancies))
    if found.repeated:
        print(
            f"{found.repeated} values stand in two tables of a setting; "
            f"{len(found.contradictions)} of them differ by more than rounding."
        )
    for pair in found.contradictions:
        one, other = pair.first, pair.second
        print(
            f"  {one.setting}, {one.method}, {one.dataset}, {one.metric}: {one.value} in "
            f"{one.source} {one.table}, {other.value} in {other.source} {other.table}"
        )
    if strict and (found.discrepancies or found.contradictions):
        raise typer.Exit(1)


def _listed(discrepancies: tuple[Discrepancy, ...]) -> str:
    from tabulate import tabulate

    lines = [
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
        for item in discrepancies
    ]
    heads = ["table", "method", "metric", "printed", "recomputed", "difference", "over", "remark"]
    return tabulate(
        lines,
        headers=heads,
        disable_numparse=True,
        maxcolwidths=[None] * 6 + [24, 44],
        colalign=["left", "left", "left", "right", "right", "right", "left", "left"],
    )
