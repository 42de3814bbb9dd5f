"""Routing and prompt swaps as run folders hold them, for figures of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.config.errors import HarnessError
from harness.planning.plan import Plan
from harness.reporting.wording import column_labels
from harness.store.prompt_files import stored_analysis, stored_summary

Numbers = Sequence[float | None]


@dataclass(frozen=True)
class PromptUse:
    """What the prompts of one run do.

    Attributes:
        label: of the run.
        names: labels of the kinds of images: columns where prompts were analysed at length, else
            tasks.
        expert_load: by level and row, how much each expert is used, summing to 1.
        psnr_db: quality of the row's images under the prompts of the column's.
    """

    label: str
    names: tuple[str, ...]
    expert_load: Mapping[str, Sequence[Numbers]]
    psnr_db: Sequence[Numbers]


def prompt_uses(plan: Plan) -> list[PromptUse]:
    """Return what is stored of the prompts of a plan's runs.

    Raises:
        HarnessError: nothing is.
    """
    found = []
    several = len(plan.seeds) > 1
    for run in plan.runs:
        label = f"{run.method.label}, seed {run.train.seed}" if several else run.method.label
        analysis = stored_analysis(run.folder, run.score_id)
        prompts = stored_summary(run.folder).get("prompts")
        if analysis:
            load = {level: part["expert_load"] for level, part in analysis["routing"].items()}
            swaps = analysis["prompt_swap"]["psnr_db"]
            found.append(_use(plan, label, analysis["columns"], load, swaps))
        elif prompts is not None:
            load, swaps = prompts["expert_load"], prompts["psnr_db"]
            found.append(_use(plan, label, prompts["tasks"], load, swaps))
    if not found:
        raise HarnessError(
            f"{plan.out} holds nothing on the prompts of these methods; analyse those "
            "of a method that has some with: python -m harness run --methods cpl --probes"
        )
    return found


def _use(
    plan: Plan,
    label: str,
    names: Sequence[str],
    load: Mapping[str, Mapping[str, Numbers]],
    psnr_db: Sequence[Numbers],
) -> PromptUse:
    """Return what was stored by the names of columns or tasks with the labels of columns."""
    labels = column_labels(plan)
    rows = {level: [by_name[name] for name in names] for level, by_name in load.items()}
    return PromptUse(label, tuple(labels.get(name, name) for name in names), rows, psnr_db)
