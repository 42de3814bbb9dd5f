"""What prompts do, beside the table: nobody should have to look for a collapse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

CLASSIFIER_FLOOR = 0.9
"""Accuracy per task on validation below which a row with explicit prompts is marked."""


@dataclass(frozen=True)
class ProbedCell:
    """The probes of one trained cell, as ``probes.json`` holds them."""

    label: str
    probes: dict[str, Any]


def notes(cells: Sequence[ProbedCell]) -> tuple[str, ...]:
    """Return the footnotes that one method's cells call for."""
    found = []
    if any(cell.probes.get("prompts", {}).get("collapsed") for cell in cells):
        found.append("prompts collapsed: one expert serves all tasks at every level")
    for cell in cells:
        for accuracy in cell.probes.get("classifiers", {}).values():
            low = [
                f"{task} {value:.2f}"
                for task, value in accuracy.items()
                if value < CLASSIFIER_FLOOR
            ]
            if low:
                found.append(f"classifier below {CLASSIFIER_FLOOR} on validation: {', '.join(low)}")
    return tuple(dict.fromkeys(found))


def prompt_report(cells: Sequence[ProbedCell]) -> str:
    """Return, per cell, the cost of a wrong prompt, the routing, and classifiers' accuracy."""
    from tabulate import tabulate

    lines, accuracies, tasks = [], [], []
    for cell in cells:
        for accuracy in cell.probes.get("classifiers", {}).values():
            accuracies.append(
                f"{cell.label}: classifier accuracy on validation "
                + ", ".join(f"{task} {value:.2f}" for task, value in accuracy.items())
            )
        probe = cell.probes.get("prompts")
        if probe is None:
            continue
        tasks = probe["tasks"]
        routes = [_route(probe["usage"], task) for task in tasks]
        verdict = "COLLAPSED" if probe["collapsed"] else ""
        lines.append([cell.label, f"{probe['wrong_prompt_cost_db']:+.2f} dB", *routes, verdict])
    if not lines:
        return ""
    levels = ", ".join(next(c for c in cells if "prompts" in c.probes).probes["prompts"]["usage"])
    table = tabulate(
        lines,
        headers=["Prompts", "wrong prompt costs", *tasks, ""],
        tablefmt="simple",
        disable_numparse=True,
    )
    legend = (
        f"Most used expert per task at {levels}, with its share of the weight in percent.\n"
        "A wrong prompt is the one that the same photograph gets under another kind of degradation."
    )
    return "\n".join([table, legend, *accuracies])


def _route(usage: dict[str, dict[str, list[float]]], task: str) -> str:
    parts = []
    for tasks in usage.values():
        shares = tasks[task]
        expert = max(range(len(shares)), key=shares.__getitem__)
        parts.append(f"{expert}:{round(100 * shares[expert])}")
    return " ".join(parts)
