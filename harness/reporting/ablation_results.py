"""From a plan's stored runs to the tables of its studies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.execution.status import stored_rows
from harness.planning.plan import Plan, Run
from harness.planning.studies import Line, Point, Study
from harness.reporting import ablation
from harness.reporting.ablation import AxisTable, ValueLine
from harness.reporting.plan_tables import table_of, write_texts
from harness.reporting.statistics import Difference, Spread, difference, natural_spread, pair
from harness.reporting.summary import AVERAGE, Table
from harness.store.files import read_json
from harness.store.results import Result


def axis_tables(
    study: Study, plan: Plan, failed: Mapping[str, str], spread: Spread | None
) -> list[AxisTable]:
    """Return a table per axis of ``study`` from what is stored of ``plan``.

    ``failed`` says by a run's label why it failed; ``spread`` what intervals show, by default
    all that the number of seeds lets them.
    """
    table = table_of(plan)
    chosen = spread or natural_spread(len(plan.seeds))
    runs: dict[str, list[Run]] = {}
    for run in plan.runs:
        runs.setdefault(run.method.id, []).append(run)
    rows = {method: [r for c in of for r in stored_rows(c)] for method, of in runs.items()}
    images = "real images" if plan.files else "synthetic twin"
    seeds = ", ".join(map(str, plan.seeds))
    context = (
        f"Setting {plan.setting.name}, {images}; recipe {plan.recipe.name}; protocol "
        f"{plan.setting.protocol.id}; seed{'s' if len(plan.seeds) > 1 else ''} {seeds}."
    )
    metrics = tuple((m.id, m.label, m.decimals) for m in table.request.metrics)
    found = []
    for line in study.lines:
        values = [_value(point, table, runs, rows, failed, chosen) for point in line.points]
        found.append(
            AxisTable(
                study=study.name,
                axis=line.name,
                title=study.title,
                label=line.label,
                against=_against(study, line),
                metrics=metrics,
                columns=tuple(column.label for column in plan.columns),
                lines=tuple(values),
                context=context,
                spread=chosen,
            )
        )
    return found


def write_ablation_files(table: AxisTable, recipe: str, folder: Path) -> list[Path]:
    """Write the table as CSV, Markdown and LaTeX and its figure, and return the paths."""
    stem = re.sub(r"[^\w.+=-]+", "_", f"ablation-{table.study}-{table.axis}-{recipe}")
    texts = {
        ".csv": ablation.csv(table),
        ".md": ablation.markdown(table),
        ".tex": ablation.latex(table),
    }
    paths = write_texts(folder, stem, texts)
    figures = [folder / f"{stem}{suffix}" for suffix in (".png", ".pdf")]
    ablation.draw(table, figures)
    return [*paths, *figures]


def _value(
    point: Point,
    table: Table,
    runs: Mapping[str, Sequence[Run]],
    rows: Mapping[str, Sequence[Result]],
    failed: Mapping[str, str],
    spread: Spread,
) -> ValueLine:
    metrics = [metric.id for metric in table.request.metrics]
    averages = {}
    for metric in metrics:
        entry = table.entries.get((point.method, AVERAGE, metric))
        averages[metric] = None if entry is None else entry.value
    reasons = [failed[c.label] for c in runs[point.method] if c.label in failed]
    deltas: dict[str, Difference | None] = dict.fromkeys(metrics)
    columns: dict[str, float] = {}
    # A part of the seeds or images gives another mean, not a worse estimate of this one; of columns
    # whose data are not on this disk there is none, nor a mean over all.
    there = [c for c in table.request.columns if c.name not in table.request.absent]
    parts = [table.entries.get((point.method, c.name, metrics[0])) for c in there]
    complete = all(part is not None and part.complete for part in parts)
    if point.method != point.baseline and not reasons and complete:
        for metric in metrics if len(there) == len(table.request.columns) else ():
            paired = pair(rows[point.method], rows[point.baseline], metric)
            deltas[metric] = None if paired is None else difference(paired, spread)
        for column in there:
            own, other = (
                table.entries.get((m, column.name, metrics[0]))
                for m in (point.method, point.baseline)
            )
            if own is not None and other is not None:
                columns[column.label] = own.value - other.value
    return ValueLine(
        point.label, averages, deltas, columns, _control_db(runs[point.method]), "; ".join(reasons)
    )


def _against(study: Study, line: Line) -> str:
    by_method = {point.method: point.label for point in line.points}
    against = list(dict.fromkeys(point.baseline for point in line.points))
    if len(against) > 1:
        return "the same network without it, where the line is none"
    label = by_method.get(against[0])
    return study.base if label is None else f"{line.label} = {label}"


def _control_db(runs: Sequence[Run]) -> float | None:
    found = [
        read_json(run.folder.probes).get("prompts", {}).get("wrong_prompt_cost_db")
        for run in runs
        if run.folder.probes.exists()
    ]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None
