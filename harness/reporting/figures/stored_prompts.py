"""Routing and prompt swaps as run folders hold them, for figures of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.config.errors import HarnessError
from harness.planning.command_line import command_line
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.figures.left_out import LeftOut, unscored
from harness.reporting.wording import column_labels
from harness.store.prompt_files import stored_analysis, stored_summary

Numbers = Sequence[float | None]


@dataclass(frozen=True)
class PromptUse:
    """What the prompts of one run do.

    Attributes:
        label: of the run.
        names: labels of the rows: columns where prompts were analysed at length, else
            tasks.
        expert_load: by level and row, how much each expert is used, summing to 1.
        psnr_db: quality of the row's images under the prompts of the column's.
    """

    label: str
    names: tuple[str, ...]
    expert_load: Mapping[str, Sequence[Numbers]]
    psnr_db: Sequence[Numbers]


def prompt_uses(plan: Plan) -> list[PromptUse]:
    """Return what is stored of the prompts of a plan's runs, in the columns that are shown.

    All are prompt analyses where every run with prompts has one; else they are the summaries of
    fewer images, of runs that have one.

    Raises:
        HarnessError: nothing is stored.
    """
    found = []
    several = len(plan.seeds) > 1
    stored = _stored(plan)
    are_analysed = all(analysis is not None for _, analysis, _ in stored)
    for run, analysis, prompts in stored:
        label = f"{run.method.label}, seed {run.train.seed}" if several else run.method.label
        if analysis and (are_analysed or prompts is None):
            load = {level: part["expert_load"] for level, part in analysis["routing"].items()}
            swaps = analysis["prompt_swap"]["psnr_db"]
            found.append(_use(plan, label, analysis["columns"], load, swaps))
        elif prompts is not None:
            load, swaps = prompts["expert_load"], prompts["psnr_db"]
            found.append(_use(plan, label, prompts["tasks"], load, swaps))
    if not found or not found[0].names:
        asked = plan.request.model_copy(update={"probes": True})
        raise HarnessError(
            f"{plan.out} holds nothing on the prompts of these methods in these columns; analyse "
            f"those of a method that has some with: {command_line('run', asked)}"
        )
    return found


def without_prompts(plan: Plan) -> LeftOut:
    """Return what is not scored, else runs with nothing on prompts though other seeds have it.

    Methods without prompts are not among them.
    """
    missing = unscored(plan)
    if missing.names:
        return missing
    known = {run.weights_id for run, _, _ in _stored(plan)}
    prompted = {run.method.id for run in plan.runs if run.weights_id in known}
    without = []
    for run in plan.runs:
        if run.method.id in prompted and run.weights_id not in known:
            without.append(run.label)
    return LeftOut(without, "nothing on the prompts")


_StoredPrompts = tuple[Run, Mapping[str, Any] | None, Mapping[str, Any] | None]
"""A run, its prompt analysis and the prompts of its summary, of which it has at least one."""


def _stored(plan: Plan) -> list[_StoredPrompts]:
    found: list[_StoredPrompts] = []
    for run in plan.runs:
        analysis = stored_analysis(run.folder, run.score_id) or None
        prompts = stored_summary(run.folder).get("prompts")
        if analysis or prompts is not None:
            found.append((run, analysis, prompts))
    return found


def _use(
    plan: Plan,
    label: str,
    names: Sequence[str],
    load: Mapping[str, Mapping[str, Numbers]],
    psnr_db: Sequence[Numbers],
) -> PromptUse:
    """Return what was stored by the names of columns or tasks with the labels of columns.

    Columns that are not shown are left out, with their tasks; a task that no column has remains.
    """
    labels = column_labels(plan)
    shown = {name for column in plan.shown_columns for name in (column.name, column.task)}
    hidden = {name for column in plan.columns for name in (column.name, column.task)} - shown
    places = [place for place, name in enumerate(names) if name not in hidden]
    kept = [names[place] for place in places]
    rows = {level: [by_name[name] for name in kept] for level, by_name in load.items()}
    swaps = [[psnr_db[row][column] for column in places] for row in places]
    return PromptUse(label, tuple(labels.get(name, name) for name in kept), rows, swaps)
