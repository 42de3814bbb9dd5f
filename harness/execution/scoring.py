"""Scoring one run: per-image results, and what its prompts do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from harness.config.errors import Interrupted
from harness.evaluation.evaluate import Scoring, Subject, evaluate
from harness.evaluation.metrics import MetricFacts, resolve_metrics, resolve_set_metrics
from harness.evaluation.probes.observe import Observer
from harness.evaluation.probes.pairs import clean_images
from harness.evaluation.probes.prompt_analysis import analyse_prompts, with_routing_variants
from harness.evaluation.probes.prompt_summary import summarise_prompts
from harness.execution.kept_images import keep_in_passing, keep_worst, subject_of
from harness.execution.process import Worker
from harness.execution.progress import Progress
from harness.execution.steering import Steering
from harness.execution.tracked_scores import (
    TrackedImages,
    report_analysis,
    report_means,
    report_prompts,
)
from harness.execution.tracking import Tracking
from harness.method import Prompted
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.registry import use_plugins
from harness.store.files import write_json
from harness.store.prompt_files import is_whole, store_analysis, stored_analysis, stored_summary
from harness.store.results import Result, append
from harness.store.stored_results import results_of
from harness.training.pretrained import Pretrained

_PHOTOGRAPHS = "photographs"
"""Key of a summary of prompts: how many photographs of the setting it is of."""


def score_run(
    run: Run,
    plan: Plan,
    worker: Worker,
    steering: Steering,
    progress: Progress,
    tracking: Tracking,
) -> None:
    """Restore and score the images whose results are missing, and summarise the prompts.

    Of several processes each restores a share of the images, and the first writes.

    Raises:
        Interrupted: ``stop`` answered yes; what was scored is stored.
        HarnessError: another process has taken the run over; no row is written twice.
    """
    stop = steering.stop
    if run.score is None:
        return

    def on_read(pretrained: Pretrained) -> None:
        progress.log(pretrained.describe())
        if worker.ranks.is_first and not run.folder.provenance.exists():
            content = {"label": run.method.label, **pretrained.provenance()}
            write_json(run.folder.provenance, content)

    subject = subject_of(run, worker, on_read)
    use_plugins(())  # a worker process has not imported the files that define metrics
    began = time.monotonic()
    scoring, *others = (_scoring(run, part, worker) for part in plan.by_protocol)
    scoring = replace(scoring, also=tuple(others), ranks=worker.ranks)
    pairs = plan.source.pairs(run.score.test)
    images, on_progress = TrackedImages(tracking, worker.ranks), partial(progress.images, "scored")
    on_restored = images.shown_of(pairs.names(), keep_in_passing(run, plan))
    for results in evaluate(subject, pairs, scoring, on_progress, stop, on_restored):
        worker.ranks.first(partial(_store, run, results, steering))
    images.report()

    def finish() -> None:
        keep_worst(run, plan, subject, stop)
        _check_stop(run, stop)
        summary = _summary(run, plan, subject, scoring, partial(_check_stop, run, stop))
        summary["score_wall_s"] = round(time.monotonic() - began, 2)
        write_json(run.folder.prompt_summary, summary)
        _report_scores(run, scoring, summary, tracking)
        if plan.probes:
            _analyse(run, plan, subject, stop, progress)
            report_analysis(tracking, stored_analysis(run.folder, run.score_id) or {})

    worker.ranks.first(finish)


def _store(run: Run, results: list[Result], steering: Steering) -> None:
    steering.check()
    append(run.folder.results, results)


def _report_scores(run: Run, scoring: Scoring, summary: dict[str, Any], tracking: Tracking) -> None:
    for part in scoring.all:
        stored = results_of(run.folder.results, part.spec)
        report_means(tracking, part.spec, stored)
    report_prompts(tracking, summary)


def _scoring(run: Run, plan: Plan, worker: Worker) -> Scoring:
    """Return how a run is scored under the protocol of ``plan``, and what is stored of it."""
    score = plan.run(run.id).score
    assert score is not None
    stored = results_of(run.folder.results, score)
    return Scoring(
        spec=score,
        metrics=resolve_metrics(plan.metrics),
        done=stored.scored(),
        workers=worker.threads,
        set_metrics=resolve_set_metrics(plan.metrics),
    )


def _summary(
    run: Run,
    plan: Plan,
    subject: Subject,
    scoring: Scoring,
    check: Callable[[], None],
) -> dict[str, Any]:
    """Return what ``prompt_summary.json`` will hold: prompts, classifiers, metric directions."""
    summary = stored_summary(run.folder)
    metrics: list[MetricFacts] = []
    for part in scoring.all:
        metrics += [*part.metrics, *part.set_metrics]
    directions = {metric.id: metric.higher_is_better for metric in metrics}
    summary["higher_is_better"] = {**summary.get("higher_is_better", {}), **directions}
    if isinstance(subject.method, Prompted) and _summarises(plan, summary):
        observer = Observer(subject.method, subject.needs_task_labels, subject.device)
        pairs = plan.source.pairs(plan.test)
        prompts = summarise_prompts(observer, pairs, plan.test, check).as_json()
        summary["prompts"] = {**prompts, _PHOTOGRAPHS: len(plan.test.photographs)}
    for needed in run.requires:
        accuracy = needed.folder.read_provenance().get("validation_per_task")
        if accuracy is not None:  # unknown for pretrained weights
            summary.setdefault("classifiers", {})[needed.train.method] = accuracy
    return summary


def _summarises(plan: Plan, stored: Mapping[str, Any]) -> bool:
    """Return whether prompts are summarised on the images that a run is being scored on.

    A run has one summary. It is of the setting's own photographs if they are ever scored, and then
    of the most of them; else of the first folder of clean images.
    """
    if plan.out_of_distribution or not clean_images(plan.test):
        return False
    if "prompts" not in stored:
        return True
    if not plan.test.photographs:
        return False
    known: int | None = stored["prompts"].get(_PHOTOGRAPHS)
    if known is None:  # of an older version, which did not count them
        return plan.request.limit is None
    return len(plan.test.photographs) >= known


def _check_stop(run: Run, stop: Callable[[], bool]) -> None:
    if stop():
        raise Interrupted(f"{run.label} stopped while it was scored")


def _analyse(
    run: Run, plan: Plan, subject: Subject, stop: Callable[[], bool], progress: Progress
) -> None:
    score = run.score
    if score is None or run.score_id is None:
        return
    stored = stored_analysis(run.folder, run.score_id)
    if stored is not None and is_whole(stored):
        return
    analysis: dict[str, Any] = {}
    if isinstance(subject.method, Prompted):
        observer = Observer(subject.method, subject.needs_task_labels, subject.device)

        def on_progress(done: int, total: int) -> None:
            progress.images("probed", done, total)
            _check_stop(run, stop)

        pairs = plan.source.pairs(score.test)
        if stored is None:
            analysis = analyse_prompts(observer, pairs, score.test, on_progress)
        else:
            analysis = with_routing_variants(stored, observer, pairs, score.test, on_progress)
    store_analysis(run.folder, run.score_id, analysis)
