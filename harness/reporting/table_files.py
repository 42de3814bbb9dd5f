"""Names of the files of tables: they follow what a table shows, so two tables never share one.

A name ends in a hash of the scored runs and of what is shown of them. With ``--name`` a person
chooses the name; a file of that name that holds another table is then refused, not replaced.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.config.errors import UsageError
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.store.files import file_name

_DIGITS = 8
_LONGEST_NAME, _LONGEST_END = 150, 110
"""Bytes of a name, and of its last part."""

_MARKED = (".md", ".tex")
"""Suffixes of the files that say which table they hold."""


def content_id(content: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that follow from ``content``."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def table_id(plan: Plan, runs: Sequence[Run] | None = None, **more: Any) -> str:
    """Return what tells the table of a plan from every other one.

    Args:
        plan: what is shown.
        runs: those of its runs that are shown; None for all.
        more: what else the table depends on.
    """
    shown = plan.runs if runs is None else runs
    content = {
        "scores": [run.score_id for run in shown],
        "metrics": list(plan.metrics),
        "columns": [column.name for column in plan.shown_columns],
        "show": list(plan.request.show),
        **more,
    }
    for name in ("labels", "decimals"):
        chosen = getattr(plan.request, name)
        if chosen:  # names of files that ask for neither stay as they were
            content[name] = chosen
    return content_id(content)


def table_stem(plan: Plan, identity: str, kind: str = "") -> str:
    """Return the name of the files of a table, without suffix.

    Args:
        plan: what is shown.
        identity: of the table.
        kind: of the table, as ``paper-cpl``; empty for the table of a run.
    """
    several = len(plan.request.evaluation.protocol) > 1
    protocol = plan.setting.protocol.id if several else ""
    source = plan.source.name.replace(" ", "-")
    if plan.request.name:
        words, end = [plan.request.name], [protocol, kind]
    else:
        words, end = [plan.setting.name, plan.recipe.name, source, protocol, kind], [identity]
    # What is cut off a long name is never what tells two tables apart.
    last = file_name("-".join(filter(None, end)), _LONGEST_END) if any(end) else ""
    first = file_name("-".join(filter(None, words)), _LONGEST_NAME - len(last.encode()))
    return f"{first}-{last}" if last else first


def check_free(folder: Path, stem: str, identity: str) -> None:
    """Refuse a name under which another table is stored.

    Raises:
        UsageError: names the file.
    """
    for path in sorted(folder.glob("*")):
        is_part = path.stem == stem and path.suffix in (".csv", *_MARKED)
        if is_part and not _holds(folder, stem, identity):
            raise UsageError(
                f"{path} holds another table, which is not replaced; choose another --name, or "
                "move it away"
            )


def marked(texts: Mapping[str, str], identity: str) -> dict[str, str]:
    """Return texts by suffix, with a comment that says which table they hold where one may be."""
    found = dict(texts)
    found[".md"] = f"{texts['.md']}\n<!-- {_mark(identity)} -->\n"
    found[".tex"] = f"% {_mark(identity)}\n{texts['.tex']}"
    return found


def _mark(identity: str) -> str:
    return f"table {identity}"


def _holds(folder: Path, stem: str, identity: str) -> bool:
    for suffix in _MARKED:
        path = folder / f"{stem}{suffix}"
        if path.is_file() and _mark(identity) not in path.read_text("utf-8", errors="replace"):
            return False
    return (folder / f"{stem}.md").is_file()
