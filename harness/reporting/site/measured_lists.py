"""Measured results as lists of a leaderboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.config.files import load_setting, setting_names
from harness.config.settings import Column, Setting
from harness.evaluation.metrics import MetricFacts, metric_facts
from harness.published.tables import CITED_METRICS
from harness.reporting.paper_images import TestImages, cited_names, difference_to_papers
from harness.reporting.site.cited_lists import CitedContext, protocol_section
from harness.reporting.site.measured import MeasuredGroup, MeasuredRun, told_apart
from harness.reporting.site.overview import score_metric, scores_of
from harness.reporting.site.rank_list import (
    PUBLISHED,
    Kind,
    ListKey,
    ListRow,
    RankList,
    average_column,
)
from harness.reporting.site.run_sources import provenance_facts
from harness.reporting.site.score_table import Score, ScoreColumn, ScoreMetric, ScoreRow
from harness.reporting.site.sources import joined, listed
from harness.reporting.summary import MethodRow, Summary, SummaryRequest, summarise
from harness.reporting.table_files import content_id


@dataclass(frozen=True)
class MethodFacts:
    """What is known of a method by its id: its name in tables, and of which kind it is."""

    label: str
    kind: Kind


FactsOf = Callable[[str], MethodFacts]


def measured_list(group: MeasuredGroup, context: CitedContext, facts_of: FactsOf) -> RankList:
    """Return a group as a list.

    Raises:
        HarnessError: two results of one value differ.
    """
    setting = load_setting(group.setting) if group.setting in setting_names() else None
    columns = _columns(group, setting)
    summary = summarise(group.results, _request(group, setting, columns, facts_of))
    is_published = _is_published(group, setting)
    metrics = {facts.id: score_metric(facts) for facts in summary.request.metrics}
    if is_published:
        cited = cited_names(group.protocol, setting, context.protocols)
        metrics = {name: _next_to_papers(metric, cited) for name, metric in metrics.items()}
    by_training = group.by_training
    apart = told_apart(by_training)
    rows = []
    for method in summary.request.methods:
        runs = by_training[method.id]
        own = apart[method.id]
        # Where papers are, the setting's own noise and the published stream's stand in one list.
        if is_published and setting and group.preprocessing != setting.preprocessing.id:
            own.append("published noise stream")
        origin = _origin(runs, own)
        rows.append(_list_row(summary, method, runs, metrics, origin, context))
    images = content_id({"images": group.runs[0].images, "data": group.runs[0].data_sets})
    test = PUBLISHED if is_published else f"{group.preprocessing} {images}"
    names = tuple(sorted(column.name for column in columns))
    heads = tuple(metrics.values())
    score_columns = [ScoreColumn(c.name, c.label, c.group, heads) for c in columns]
    return RankList(
        key=ListKey(group.setting, group.protocol, test, names),
        title=setting.title if setting else group.setting,
        about=(f"Measured on {_data_words(group, columns)}; preprocessing {group.preprocessing}.",),
        columns=(average_column(heads), *score_columns),
        rows=tuple(rows),
    )


def _columns(group: MeasuredGroup, setting: Setting | None) -> tuple[Column, ...]:
    """Return the columns of the results, in the setting's order where it is known."""
    present = group.runs[0].images
    known = {column.name: column for column in setting.columns} if setting else {}
    found = [column for name, column in known.items() if name in present]
    for name in present:
        if name not in known:
            found.append(Column(name=name, task=name))
    return tuple(found)


def _request(
    group: MeasuredGroup,
    setting: Setting | None,
    columns: tuple[Column, ...],
    facts_of: FactsOf,
) -> SummaryRequest:
    first = group.runs[0]
    metrics = dict.fromkeys(result.metric for run in group.runs for result in run.results)
    rows = []
    for training, runs in group.by_training.items():
        facts = facts_of(runs[0].method)
        rows.append(
            MethodRow(
                id=training,
                label=facts.label,
                reference=facts.kind != "methods",
                is_input=facts.kind == "input",
                runs=len(runs),
            )
        )
    return SummaryRequest(
        title=setting.title if setting else group.setting,
        setting=group.setting,
        images_are="",
        data_sets=first.data_sets,
        preprocessing=group.preprocessing,
        protocol=group.protocol,
        recipe="",
        columns=columns,
        metrics=tuple(_facts(name, group.runs) for name in metrics),
        methods=tuple(rows),
        seeds=(0,),
        images=first.images,
    )


def _facts(metric: str, runs: Sequence[MeasuredRun]) -> MetricFacts:
    """Return the facts of a metric, with the direction that was stored when it was computed."""
    better: bool | None = None
    for run in runs:
        better = run.higher_is_better.get(metric, better)
    return metric_facts(metric, better)


def _list_row(
    summary: Summary,
    method: MethodRow,
    runs: Sequence[MeasuredRun],
    metrics: Mapping[str, ScoreMetric],
    origin: str,
    context: CitedContext,
) -> ListRow:
    numbers = [_run_section(run, method.label, context) for run in runs]
    protocol = protocol_section(summary.request.protocol, summary.request.setting, context)
    sections = joined([*numbers, _test_section(runs[0], context), protocol])
    scores: dict[tuple[str, str], Score] = {}
    for (column, metric), score in scores_of(summary, method, lambda column: sections).items():
        # Best and second are of the whole list, which may have rows of others.
        scores[column, metrics[metric].id] = replace(score, rank=None)
    parameters = runs[0].provenance.get("parameters")
    millions = f"{parameters / 1e6:.2f}" if parameters else ""
    kind: Kind = "input" if method.is_input else "references" if method.reference else "methods"
    row = ScoreRow(
        label=method.label,
        scores=scores,
        facts={"Year": "–", "Params (M)": millions or "–", "From": origin},
        attributes={"origin": "measured", "year": "", "parameters": millions},
    )
    return ListRow(kind, row)


def _origin(runs: Sequence[MeasuredRun], own: Sequence[str]) -> str:
    """Return where a row is from, with its steps, seeds, and what is its own among others."""
    steps = runs[0].steps
    seeds = f"{len(runs)} seeds" if len(runs) > 1 else f"seed {runs[0].seed}"
    trained = [f"{steps:,} steps", *own, seeds] if steps else own
    return ", ".join([runs[0].results[0].origin, *trained])


def _run_section(run: MeasuredRun, label: str, context: CitedContext) -> int:
    facts = [
        ("Origin", run.results[0].origin),
        ("Method", run.method),
        ("Run", run.id),
        ("From", run.place),
        ("Weights", run.results[0].weights),
        ("Score", run.results[0].score),
        ("Seed", str(run.seed)),
        *provenance_facts(run.provenance),
    ]
    content = run.spec or None
    return context.sources.add(f"{label}, seed {run.seed}", facts, content, "Spec of the training")


def _test_section(run: MeasuredRun, context: CitedContext) -> int:
    counts = {column: len(names) for column, names in run.images.items()}
    facts = [
        ("Data sets", listed(run.data_sets)),
        ("Images", listed(counts)),
        ("Preprocessing", run.results[0].preprocessing),
    ]
    return context.sources.add("Test images", facts)


def _next_to_papers(metric: ScoreMetric, names: Mapping[str, str]) -> ScoreMetric:
    """Return the heading of a metric next to papers' numbers.

    The protocol's own, which ``names`` has, are what papers print. Another one of their kind has a
    column and a heading of its own.
    """
    if metric.id in names:
        cited = CITED_METRICS[names[metric.id]]
        return replace(metric, id=cited.id, label=cited.label)
    if metric.label in [cited.label for cited in CITED_METRICS.values()]:
        return replace(metric, label=metric.id)
    return metric


def _data_words(group: MeasuredGroup, columns: Sequence[Column]) -> str:
    """Return what the images are, as ``synthetic images (σ=15 4, Derain 8)``."""
    run = group.runs[0]
    parts = []
    for column in columns:
        parts.append(f"{column.label} {len(run.images[column.name])}")
    names = list(dict.fromkeys(run.data_sets[column.name] for column in columns))
    what = "synthetic images" if names == ["synthetic"] else ", ".join(names)
    return f"{what} ({', '.join(parts)})"


def _is_published(group: MeasuredGroup, setting: Setting | None) -> bool:
    """Return whether a group is of the data sets that papers score, whole and made alike."""
    run = group.runs[0]
    counts = {column: len(names) for column, names in run.images.items()}
    return not difference_to_papers(TestImages(group.preprocessing, run.data_sets, counts), setting)
