"""What prompts do, printed with the table, so that a collapse is not overlooked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.renderers import terminal
from harness.reporting.table import plain_table
from harness.store.prompt_files import stored_summary

CLASSIFIER_FLOOR = 0.9
"""Accuracy per task on validation below which a row with explicit prompts is marked."""

COLLAPSED_NOTE = "prompts collapsed: one expert serves all tasks at every level"


@dataclass(frozen=True)
class RunPrompts:
    """The prompt summary of one run, as ``prompt_summary.json`` holds it."""

    label: str
    summary: Mapping[str, Any]

    @property
    def prompts(self) -> Mapping[str, Any] | None:
        """Routing and the prompt-swap gap; None for a method without prompts."""
        found: Mapping[str, Any] | None = self.summary.get("prompts")
        return found

    @property
    def accuracies(self) -> list[Mapping[str, float]]:
        """Accuracy by task of each classifier that the run builds on."""
        return list(self.summary.get("classifiers", {}).values())


def stored_prompts(runs: Sequence[Run]) -> list[RunPrompts]:
    """Return the prompt summaries that are stored of ``runs``."""
    found = []
    for run in runs:
        if run.folder.prompt_summary.exists():
            found.append(RunPrompts(run.label, stored_summary(run.folder)))
    return found


def prompt_notes(runs: Sequence[RunPrompts]) -> list[str]:
    """Return the footnotes that the runs of one method call for."""
    notes = []
    if any(run.prompts is not None and run.prompts["collapsed"] for run in runs):
        notes.append(COLLAPSED_NOTE)
    for accuracy in _accuracies(runs):
        low = {task: value for task, value in accuracy.items() if value < CLASSIFIER_FLOOR}
        if low:
            notes.append(f"classifier below {CLASSIFIER_FLOOR} on validation: {_listed(low)}")
    return list(dict.fromkeys(notes))


def prompt_report(plan: Plan) -> str:
    """Return, per run, the prompt-swap gap, the routing, and classifiers' accuracy.

    It is empty where no method has prompts.
    """
    return report_of(stored_prompts(plan.runs))


def report_of(runs: Sequence[RunPrompts]) -> str:
    """Return the report of several runs; see :func:`prompt_report`."""
    lines = []
    first: Mapping[str, Any] = {}
    for run in runs:
        if run.prompts is not None:
            first = first or run.prompts
            lines.append(_line(run.label, run.prompts))
    if not lines:
        return ""
    table = plain_table(["Prompts", "prompt-swap gap", *first["tasks"], ""], lines)
    levels = ", ".join(first["expert_load"])
    legend = (
        f"Most used expert per task at {levels}, with its share of the weight in percent.\n"
        "Prompt-swap gap: PSNR of an image under its own prompt minus that under the prompt that "
        "the same\nimage receives under another kind of degradation."
    )
    accuracies = []
    for run in runs:
        for accuracy in run.accuracies:
            accuracies.append(f"{run.label}: classifier accuracy on validation {_listed(accuracy)}")
    return "\n".join([terminal.body(table), legend, *accuracies])


def _line(label: str, prompts: Mapping[str, Any]) -> list[str]:
    line = [label, f"{prompts['prompt_swap_gap_db']:+.2f} dB"]
    for task in prompts["tasks"]:
        line.append(_route(prompts["expert_load"], task))
    return [*line, "COLLAPSED" if prompts["collapsed"] else ""]


def _accuracies(runs: Sequence[RunPrompts]) -> Iterator[Mapping[str, float]]:
    for run in runs:
        yield from run.accuracies


def _listed(accuracy: Mapping[str, float]) -> str:
    return ", ".join(f"{task} {value:.2f}" for task, value in accuracy.items())


def _route(expert_load: Mapping[str, Mapping[str, Sequence[float]]], task: str) -> str:
    """Return, per level, the most used expert of a task and its share in percent."""
    parts = []
    for loads in expert_load.values():
        shares = loads[task]
        expert = max(range(len(shares)), key=shares.__getitem__)
        parts.append(f"{expert}:{round(100 * shares[expert])}")
    return " ".join(parts)
