"""Routing and prompt swaps of stored probes as tables whose cells are shaded by their values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.site.overview import PlanSources
from harness.reporting.site.rendering import number_text
from harness.reporting.site.sources import joined
from harness.store.prompt_files import stored_analysis, stored_summary

SHADES = 10
"""Steps of shading; the style sheet has a colour for each."""

_FULL_LOSS_DB = 5.0
"""A loss by foreign prompts that is shaded fully, at least."""


@dataclass(frozen=True)
class Cell:
    """One value; ``shade`` is 0 to :data:`SHADES`, None where no value is known."""

    text: str
    shade: int | None


@dataclass(frozen=True)
class Matrix:
    """One table.

    Attributes:
        title: what it shows.
        corner: what runs down and across.
        heads: of the columns.
        rows: label and cells.
    """

    title: str
    corner: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True)
class RunProbes:
    """What is known of one run's prompts.

    ``facts`` are texts by name; ``sources`` the numbers of sections.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    matrices: tuple[Matrix, ...]
    sources: str


def run_probes(plan: Plan, sources: PlanSources) -> list[RunProbes]:
    """Return the stored probes of a plan, the analysis at length where there is one."""
    found = []
    seen: dict[str, int] = {}
    for run in plan.runs:
        place = seen.setdefault(run.method.id, 0)
        seen[run.method.id] += 1
        sections = joined([sources.runs[run.method.id][place], sources.scoring])
        probes = _of_run(run, sections)
        if probes is not None:
            found.append(probes)
    return found


def _of_run(run: Run, sections: str) -> RunProbes | None:
    title = f"{run.method.label}, seed {run.train.seed}"
    analysis = stored_analysis(run.folder, run.score_id)
    if analysis:
        return RunProbes(title, _facts_of_analysis(analysis), _of_analysis(analysis), sections)
    prompts = stored_summary(run.folder).get("prompts")
    if not prompts:
        return None
    return RunProbes(title, _facts_of_summary(prompts), _of_summary(prompts), sections)


def _facts_of_summary(prompts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    gap = number_text(prompts["prompt_swap_gap_db"], 2)
    collapsed = "yes: one expert serves all tasks" if prompts["collapsed"] else "no"
    return (("Prompt-swap gap", f"{gap} dB"), ("Collapsed", collapsed))


def _of_summary(prompts: Mapping[str, Any]) -> tuple[Matrix, ...]:
    tasks = prompts["tasks"]
    matrices = [_swap_matrix(tasks, prompts["psnr_db"])]
    for level, load in prompts["expert_load"].items():
        matrices.append(_routing_matrix(level, {task: load[task] for task in tasks}))
    return tuple(matrices)


def _facts_of_analysis(analysis: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    facts = []
    for level, found in analysis["routing"].items():
        information = found["normalised_mutual_information"].get("families")
        facts.append((f"NMI with the kind, {level}", number_text(information, 2)))
        facts.append((f"Load entropy, {level}", number_text(found["load_entropy"], 2)))
    return tuple(facts)


def _of_analysis(analysis: Mapping[str, Any]) -> tuple[Matrix, ...]:
    columns = analysis["columns"]
    matrices = [_swap_matrix(columns, analysis["prompt_swap"]["psnr_db"])]
    for level, found in analysis["routing"].items():
        matrices.append(_routing_matrix(level, found["expert_load"]))
    for level, found in analysis["redundancy"].items():
        matrices.append(_similarity_matrix(level, columns, found["cosine"]))
    return tuple(matrices)


def _swap_matrix(names: Sequence[str], psnr_db: Sequence[Sequence[float | None]]) -> Matrix:
    """Return PSNR of the row's images under the column's prompts, shaded by what is lost."""
    losses = [_lost_db(line, place) for place, line in enumerate(psnr_db)]
    most = _FULL_LOSS_DB
    for lost in losses:
        most = max([most, *(loss for loss in lost if loss is not None)])
    rows = []
    for name, line, lost in zip(names, psnr_db, losses, strict=True):
        cells = []
        for value, loss in zip(line, lost, strict=True):
            cells.append(Cell(number_text(value, 2), _shade(loss, most)))
        rows.append((name, tuple(cells)))
    return Matrix(
        "Prompt swap: PSNR (dB) of the row's images under the prompts of the column's; the darker, "
        "the more is lost against their own",
        "images of \\ prompts of",
        tuple(names),
        tuple(rows),
    )


def _lost_db(line: Sequence[float | None], own: int) -> list[float | None]:
    right = line[own]
    lost: list[float | None] = []
    for value in line:
        lost.append(None if value is None or right is None else right - value)
    return lost


def _routing_matrix(level: str, load: Mapping[str, Sequence[float | None]]) -> Matrix:
    experts = len(next(iter(load.values())))
    heads = tuple(map("expert {}".format, range(experts)))
    title = f"Routing at {level}: share of each expert's weight"
    return Matrix(title, "task \\ expert", heads, _unit_rows(list(load.items())))


def _similarity_matrix(
    level: str, names: Sequence[str], cosine: Sequence[Sequence[float | None]]
) -> Matrix:
    title = f"Similarity of mean prompts at {level}: cosine"
    rows = _unit_rows(list(zip(names, cosine, strict=True)))
    return Matrix(title, "prompts of", tuple(names), rows)


def _unit_rows(
    lines: Sequence[tuple[str, Sequence[float | None]]],
) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    rows = []
    for name, values in lines:
        cells = tuple(Cell(number_text(value, 2), _shade(value, 1.0)) for value in values)
        rows.append((name, cells))
    return tuple(rows)


def _shade(value: float | None, full: float) -> int | None:
    if value is None or not math.isfinite(value):
        return None
    return round(SHADES * min(1.0, max(0.0, value / full)))
