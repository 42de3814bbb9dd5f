"""What prompts do, printed with the table, so that a collapse is not overlooked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.renderers import terminal
from harness.reporting.table import MISSING, plain_table
from harness.reporting.wording import worded
from harness.store.prompt_files import stored_summary

CLASSIFIER_FLOOR = 0.9
"""Accuracy per task on validation below which a row with explicit prompts is marked."""

COLLAPSED_NOTE = "prompts collapsed: one expert serves all tasks at every level"


@dataclass(frozen=True)
class RunPrompts:
    """The prompt summary of one run, as ``prompt_summary.json`` holds it."""

    label: str
    summary: Mapping[str, Any]
    seed: int = 0

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
            label = f"{run.method.label} seed {run.train.seed}"
            found.append(RunPrompts(label, stored_summary(run.folder), run.train.seed))
    return found


def prompt_notes(runs: Sequence[RunPrompts], trainings: int | None = None) -> list[str]:
    """Return the footnotes that the runs of one method call for.

    A note that holds for some of several trainings alone says for which seeds.

    Args:
        runs: whose summaries are stored.
        trainings: how many the method has; None if those are all.
    """
    seeds_by_note: dict[str, list[str]] = {}
    for run in runs:
        for note in _notes_of(run):
            seeds_by_note.setdefault(note, []).append(str(run.seed))
    count = len(runs) if trainings is None else trainings
    notes = []
    for note, seeds in seeds_by_note.items():
        if len(seeds) == count:
            notes.append(note)
        else:
            several = "s" if len(seeds) > 1 else ""
            notes.append(f"seed{several} {', '.join(seeds)} of {count}: {note}")
    return notes


def _notes_of(run: RunPrompts) -> list[str]:
    notes = []
    if run.prompts is not None and run.prompts["collapsed"]:
        notes.append(COLLAPSED_NOTE)
    for accuracy in run.accuracies:
        # What is not finite is no accuracy at all.
        low = {task: value for task, value in accuracy.items() if not value >= CLASSIFIER_FLOOR}
        if low:
            notes.append(f"classifier below {CLASSIFIER_FLOOR} on validation: {_listed(low)}")
    return list(dict.fromkeys(notes))


def prompt_report(plan: Plan, width: int | None = None) -> str:
    """Return, per run, the prompt-swap gap, the routing, and classifiers' accuracy.

    Methods bear the labels that the request chooses. It is empty where no method has prompts.
    """
    return report_of(stored_prompts(worded(plan).runs), width)


def report_of(runs: Sequence[RunPrompts], width: int | None = None) -> str:
    """Return the report of several runs; see :func:`prompt_report`."""
    lines = []
    first: Mapping[str, Any] = {}
    for run in runs:
        if run.prompts is not None:
            first = first or run.prompts
            lines.append(_line(run.label, run.prompts))
    if not lines:
        return ""
    heads = ["Prompts", "prompt-swap gap", *first["tasks"]]
    if any(line[-1] for line in lines):
        heads.append("Note")
    # Texts beyond the heads are empty notes.
    table = plain_table(heads, [line[: len(heads)] for line in lines])
    levels = ", ".join(first["expert_load"])
    legend = [
        f"Most used expert per task at {levels}, with its share of the weight in percent.",
        "Prompt-swap gap: PSNR of an image under its own prompt minus that under the prompt that "
        "the same image receives under another kind of degradation.",
    ]
    for run in runs:
        for accuracy in run.accuracies:
            legend.append(f"{run.label}: classifier accuracy on validation {_listed(accuracy)}")
    lines_below = [terminal.wrapped(text, width) for text in legend]
    return "\n".join([terminal.body(table, width=width), *lines_below])


def _line(label: str, prompts: Mapping[str, Any]) -> list[str]:
    gap_db = prompts["prompt_swap_gap_db"]
    line = [label, f"{gap_db:+z.2f} dB" if is_known(gap_db) else MISSING]
    for task in prompts["tasks"]:
        line.append(_route(prompts["expert_load"], task))
    return [*line, "COLLAPSED" if prompts["collapsed"] else ""]


def is_known(value: float | None) -> bool:
    """Return whether a stored number is there and finite."""
    return value is not None and math.isfinite(value)


def _listed(accuracy: Mapping[str, float]) -> str:
    return ", ".join(f"{task} {value:.2f}" for task, value in accuracy.items())


def _route(expert_load: Mapping[str, Mapping[str, Sequence[float]]], task: str) -> str:
    """Return, per level, the most used expert of a task and its share in percent."""
    parts = []
    for loads in expert_load.values():
        shares = loads[task]
        if not all(map(is_known, shares)):
            parts.append(MISSING)
            continue
        expert = max(range(len(shares)), key=shares.__getitem__)
        parts.append(f"{expert}:{round(100 * shares[expert])}")
    return " ".join(parts)
