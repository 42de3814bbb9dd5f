"""From what is stored of a plan to the numbers of its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.config.hashing import spec_hash
from harness.data.on_disk.clean_names import clean_names
from harness.evaluation.metrics import MetricFacts, metric_facts
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.plan_text import training_sentence
from harness.reporting.prompt_report import prompt_notes, stored_prompts
from harness.reporting.same_values import REMARK, earlier_with_same_values
from harness.reporting.summary import MethodRow, Summary, SummaryRequest, summarise
from harness.reporting.wording import worded_column, worded_label, worded_metric
from harness.store.prompt_files import stored_summary
from harness.store.result_columns import ResultColumns
from harness.store.results import Result
from harness.store.run_folder import RunFolder
from harness.store.stored_results import (
    read_ahead,
    results_in,
    results_of,
    run_files,
    with_present_id,
)

ORACLE_NOTE = "is given the true task of every image; a reference, not ranked"


def summary_of(plan: Plan) -> Summary:
    """Return the numbers of a plan's table; what is not stored is absent.

    Raises:
        HarnessError: results of two preprocessings, protocols or data sets would be in one
            column.
    """
    return summary_of_results(plan, results_by_method(plan))


def summary_of_results(plan: Plan, by_method: Mapping[str, Sequence[Result]]) -> Summary:
    """Return the numbers of a plan's table from its results by method; see :func:`summary_of`."""
    rows: dict[str, MethodRow] = {}
    for method, runs in runs_by_method(plan).items():
        row = _method_row(runs)
        label = worded_label(plan.request, row.id, row.label)
        rows[method] = replace(row, label=label)
    for method, earlier in earlier_with_same_values(by_method).items():
        note = f"same values as {rows[earlier].label} {REMARK}"
        rows[method] = replace(rows[method], notes=(*rows[method].notes, note))
    results = ResultColumns.joined(by_method.values())
    return summarise(results, _request(plan, list(rows.values())))


def runs_by_method(plan: Plan) -> dict[str, list[Run]]:
    """Return the scored runs of a plan by method id, in the order of the table."""
    found: dict[str, list[Run]] = {}
    for run in plan.runs:
        found.setdefault(run.method.id, []).append(run)
    return found


def results_by_method(plan: Plan) -> dict[str, ResultColumns]:
    """Return what is stored of a plan by method id, in the order of the table."""
    found: dict[str, ResultColumns] = {}
    read_ahead(run.folder.results for run in plan.runs)
    for method, runs in runs_by_method(plan).items():
        parts = [results_of(run.folder.results, run.score) for run in runs]
        found[method] = ResultColumns.joined(parts)
    return found


def is_anything_stored(plan: Plan) -> bool:
    """Return whether any run of a plan has results."""
    return any(results_of(run.folder.results, run.score) for run in plan.runs)


def reevaluated_summary(plan: Plan) -> Summary | None:
    """Return the numbers of pretrained weights that are stored next to a plan's runs, if any.

    Shown are those scored on the test set of this plan under its protocol; two files of weights
    of one method are two rows.
    """
    rows: list[MethodRow] = []
    results: list[ResultColumns] = []
    files = run_files(plan.out)
    for path, stored in zip(files, results_in(files), strict=True):
        found = _reevaluated(stored, plan)
        if not found:
            continue
        provenance = RunFolder(path.parent).read_provenance()
        name = f"{found[0].method}#{found[0].weights}"
        label = provenance.get("label", found[0].method)
        notes = (_weights_note(provenance, "a file"),)
        rows.append(MethodRow(name, str(label), False, notes))
        results.append(found.with_name("method", name))
    if not rows:
        return None
    request = replace(_request(plan, rows), seeds=(0,))
    return summarise(ResultColumns.joined(results), request)


def _reevaluated(results: ResultColumns, plan: Plan) -> ResultColumns:
    """Return the results of pretrained weights on the plan's test set and protocol."""
    if not results.are("origin", "re-evaluated".__eq__).any():
        return ResultColumns.of(())
    scored = scored_as(plan, results)
    return scored.select(scored.are("origin", "re-evaluated".__eq__))


def scored_as(plan: Plan, results: ResultColumns) -> ResultColumns:
    """Return those results of one training or file that are of the plan's test set and protocol."""
    score = next(run.score for run in plan.runs if run.score is not None)
    expected = spec_hash(score.model_copy(update={"weights": results[0].weights}))
    return with_present_id(results.of_score(expected), score.test)


def _weights_note(provenance: Mapping[str, Any], name: str) -> str:
    """Return which file weights come from, and from which of several entries in it."""
    entry, others = provenance.get("entry"), provenance.get("other_entries")
    where = f", entry {entry}" if entry and others else ""
    return f"weights of {provenance.get('source', name)}{where}"


def _method_row(runs: list[Run]) -> MethodRow:
    method, checkpoint = runs[0].method, runs[0].checkpoint
    notes: list[str] = []
    if method.spec.needs_task_labels:
        notes.append(ORACLE_NOTE)
    if checkpoint is not None:
        provenance = runs[0].folder.read_provenance()
        notes.append(f"{_weights_note(provenance, checkpoint.path.name)}, evaluated again")
    if runs[0].initial is not None:
        notes.append(f"training started from the weights in {runs[0].initial.name}")
    notes += prompt_notes(stored_prompts(runs), len(runs))
    return MethodRow(
        id=method.id,
        label=method.label,
        reference=method.spec.role == "reference",
        notes=tuple(notes),
        is_input=method.spec.is_input,
        runs=len(runs),
    )


def _request(plan: Plan, rows: list[MethodRow]) -> SummaryRequest:
    images = {}
    left_out = []
    of_columns = plan.test.images_by_column()
    for column in plan.columns:
        if column in plan.shown_columns:
            images[column.name] = of_columns[column.name]
        else:
            left_out.append(column.label)
    return SummaryRequest(
        title=plan.setting.title,
        setting=plan.setting.name,
        images_are=_images_are(plan),
        data_sets=_data_sets(plan, images),
        preprocessing=plan.test.preprocessing_id,
        protocol=plan.setting.protocol.id,
        recipe=plan.recipe.name,
        columns=tuple(worded_column(plan.request, column) for column in plan.shown_columns),
        metrics=tuple(_facts(name, plan) for name in plan.metrics),
        methods=tuple(rows),
        seeds=plan.seeds,
        images=images,
        clean_images=clean_names(plan.test),
        centre_px=plan.test.centre_px,
        absent={name: data for name, data in plan.absent_columns.items() if name in images},
        expected=_expected(plan, images),
        training=training_sentence(plan),
        left_out=tuple(left_out),
    )


def _images_are(plan: Plan) -> str:
    """Return what was scored, and how much of it at most."""
    amount = plan.recipe.test.with_limit(plan.request.limit)
    folder = plan.test.folder
    if folder is not None:
        words, most = f"synthetic degradations of {folder.set}", amount.most_images
        return words if most is None else f"{words}, at most {most} images of each column"
    if plan.test.photographs:
        most = amount.limit
        return "synthetic data" if most is None else f"synthetic data, at most {most} per column"
    most = amount.most_images
    words = "images of data sets on disk"
    return words if most is None else f"{words}, the first {most} of each column"


def _expected(plan: Plan, images: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return by shown column the images of a complete data set, where the one here has fewer."""
    found = {}
    for column, count in plan.source.expected_images(plan.test, plan.setting).items():
        if column in images:
            found[column] = count
    return found


def _data_sets(plan: Plan, images: dict[str, list[str]]) -> dict[str, str]:
    """Return by column the name of the data set that fills it."""
    pairs = plan.source.pairs(plan.test)
    return {column: pairs.data_set(column) for column, names in images.items() if names}


def _facts(name: str, plan: Plan) -> MetricFacts:
    """Return the facts of a metric, with the direction that was stored when it was computed."""
    better: bool | None = None
    for run in plan.runs:
        directions = stored_summary(run.folder).get("higher_is_better", {})
        better = directions.get(metric_facts(name).id, better)
    return worded_metric(plan.request, metric_facts(name, better))
