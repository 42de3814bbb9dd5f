"""From a plan's stored runs to its table and files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.config.hashing import spec_hash
from harness.config.run_specs import OnDiskTrainingData
from harness.evaluation.metrics.registry import METRICS, Metric
from harness.execution.status import expected_images, metric_id, stored_probes, stored_rows
from harness.planning.plan import Plan, Run
from harness.registry import catalogue
from harness.reporting.paper import PaperTable
from harness.reporting.probes import Probed
from harness.reporting.prompts import ProbedCell, notes
from harness.reporting.summary import MethodLine, Table, TableRequest, summarise
from harness.store.files import read_json, write_text
from harness.store.results import read


def table_of(plan: Plan) -> Table:
    """Return the table of a plan from what is stored; what is not stored is absent."""
    rows = [row for run in plan.runs for row in stored_rows(run)]
    lines = []
    for method in plan.method_ids:
        runs = [run for run in plan.runs if run.method.id == method]
        card = runs[0].method.spec
        told = ("is told the true task of every image; a reference, not ranked",)
        source = runs[0].source
        given = () if source is None else (f"weights of {source.path.name}, evaluated again",)
        lines.append(
            MethodLine(
                id=method,
                label=runs[0].method.label,
                reference=card.role == "reference",
                notes=(*(told if card.needs_task_labels else ()), *given, *notes(probed(runs))),
            )
        )
    return summarise(rows, _request(plan, lines))


def reevaluated_table(plan: Plan) -> Table | None:
    """Return the table of released weights that are stored beside ``plan``'s runs, if any.

    Shown are those scored on the test set of this plan under its protocol; two files of weights
    of one method are two lines.
    """
    score = next(run.score for run in plan.runs if run.score is not None)
    lines, rows = [], []
    for path in sorted(plan.out.glob("runs/*/rows.jsonl")):
        found = [row for row in read([path]) if row.origin == "re-evaluated"]
        if not found:
            continue
        weights = found[0].weights
        expected = spec_hash(score.model_copy(update={"weights": weights}))
        kept = [row for row in found if row.score == expected]
        if not kept:
            continue
        name = f"{kept[0].method}#{weights}"
        rows += [replace(row, method=name) for row in kept]
        source = read_json(path.parent / "record.json")["source"]
        card = catalogue().specs.get(kept[0].method)
        label = kept[0].method if card is None else card.label
        lines.append(MethodLine(name, label, False, (f"weights of {source}",)))
    if not lines:
        return None
    request = replace(_request(plan, lines), seeds=(0,))
    return summarise(rows, request)


def probed(runs: Sequence[Run]) -> list[ProbedCell]:
    """Return the stored probes of runs, those without any left out."""
    return [
        ProbedCell(run.label, read_json(run.folder.probes))
        for run in runs
        if run.folder.probes.exists()
    ]


def probed_fully(runs: Sequence[Run]) -> list[Probed]:
    """Return what ``--probes`` stored of runs, those without prompts left out."""
    found = ((run.label, stored_probes(run)) for run in runs)
    return [Probed(label, result) for label, result in found if result]


def write_probe_files(runs: Sequence[Probed], stem: str, folder: Path) -> list[Path]:
    """Write probes as Markdown and LaTeX, and a figure per run, and return the paths."""
    from harness.reporting import probes

    stem = f"{stem}-probes"
    texts = {".md": probes.markdown(runs), ".tex": probes.latex(runs)}
    paths = write_texts(folder, stem, texts)
    for run in runs:
        name = re.sub(r"[^\w.+=-]+", "_", run.label)[:80]
        figures = [folder / f"{stem}-{name}.{kind}" for kind in ("png", "pdf")]
        probes.draw(run, figures)
        paths += figures
    return paths


def write_files(table: Table, folder: Path) -> list[Path]:
    """Write the table as CSV, Markdown and LaTeX and return the paths."""
    from harness.reporting.latex import latex
    from harness.reporting.tables import csv, markdown

    stem = f"{table.request.setting}-{table.request.recipe}"
    texts = {".csv": csv(table), ".md": markdown(table), ".tex": latex(table)}
    return write_texts(folder, stem, texts)


def write_paper_files(table: PaperTable, recipe: str, folder: Path) -> list[Path]:
    """Write a table in a paper's layout as CSV, Markdown and LaTeX and return the paths."""
    from harness.reporting.paper_latex import latex
    from harness.reporting.paper_text import csv, markdown

    stem = f"{table.cited.setting}-{recipe}-paper-{table.cited.source}"
    texts = {".csv": csv(table), ".md": markdown(table), ".tex": latex(table)}
    return write_texts(folder, stem, texts)


def write_texts(folder: Path, stem: str, texts: Mapping[str, str]) -> list[Path]:
    """Write each text to ``folder`` under its suffix, and return the paths."""
    paths = []
    for suffix, text in texts.items():
        path = folder / f"{stem}{suffix}"
        write_text(path, text)
        paths.append(path)
    return paths


def training_sentence(plan: Plan) -> str:
    """Say what was trained on of what lies on disk, and what was not; empty for a twin."""
    data = next(
        (c.train.data for c in plan.runs if isinstance(c.train.data, OnDiskTrainingData)), None
    )
    if data is None:
        return ""
    sets: dict[str, list[str]] = {}
    for entry in data.files:
        name = entry.set if entry.group is None else f"{entry.set}/{entry.group}"
        sets.setdefault(f"{name} ({entry.count} images)", []).append(entry.family)
    trained = "; ".join(f"{', '.join(families)} on {name}" for name, families in sets.items())
    missing = "; ".join(
        f"{family} ({', '.join(names) or 'no set'} not there)"
        for family, names in plan.untrained.items()
    )
    return f"Trained: {trained}." + (f" Not trained: {missing}." if missing else "")


def _request(plan: Plan, lines: Sequence[MethodLine]) -> TableRequest:
    test = next(run.score.test for run in plan.runs if run.score is not None)
    return TableRequest(
        title=plan.setting.title,
        setting=plan.setting.name,
        dataset="real images" if plan.files else "synthetic-twin",
        preprocessing=plan.setting.preprocessing.id,
        protocol=plan.setting.protocol.id,
        recipe=plan.recipe.name,
        columns=plan.columns,
        metrics=tuple(_display(name, plan) for name in plan.metrics),
        methods=tuple(lines),
        seeds=plan.seeds,
        images=expected_images(plan),
        centre_px=test.centre_px,
        absent=plan.absent,
        training=training_sentence(plan),
    )


def _display(name: str, plan: Plan) -> Metric:
    """Return how a metric is shown; pyiqa's are shown without loading the library."""
    if name in METRICS:
        return METRICS[name]
    identifier = metric_id(name)
    directions: dict[str, bool] = {}
    for run in probed(plan.runs):
        directions |= run.probes["higher_is_better"]
    label = identifier.removeprefix("pyiqa:").upper()
    return Metric(identifier, label, "", 4, directions.get(identifier, True), _not_computed)


def _not_computed(restored: object, clean: object) -> float:
    raise RuntimeError("a stored metric is shown, not computed")
