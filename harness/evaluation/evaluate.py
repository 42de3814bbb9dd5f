"""Scoring a method on a test set: one result per image and metric."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from harness.config.hashing import spec_hash
from harness.config.run_specs import ScoreSpec
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.sources.protocol import TestPairs
from harness.data.sources.samples import Pair
from harness.evaluation.metrics.definition import Metric
from harness.evaluation.protocols import score_pairs
from harness.evaluation.restore import restore_image
from harness.method import Method
from harness.store.results import Origin, Result

_PAIRS_PER_WORKER = 4
"""Pairs in memory for each worker."""

Name = tuple[str, str]
"""Column and image."""


@dataclass(frozen=True)
class Subject:
    """What is scored: trained weights, and how their results name them.

    Attributes:
        method: on ``device``.
        method_id: method with its options.
        seed: of the training.
        needs_task_labels: whether the true task of every image is an input of the method.
        device: where the method computes.
        origin: whether its weights were trained here.
    """

    method: Method
    method_id: str
    seed: int
    needs_task_labels: bool
    device: torch.device
    origin: Origin = "measured"


@dataclass(frozen=True)
class Scoring:
    """How a subject is scored.

    Attributes:
        spec: the test set and the protocol.
        metrics: what is measured.
        done: (column, image, metric) of the results that are stored already.
        workers: threads that make and score pairs.
    """

    spec: ScoreSpec
    metrics: Sequence[Metric]
    done: Collection[tuple[str, str, str]] = ()
    workers: int = 1

    def missing_metrics(self, name: Name) -> list[Metric]:
        """Return the metrics of an image whose results are not stored."""
        column, image = name
        return [metric for metric in self.metrics if (column, image, metric.id) not in self.done]


def evaluate(
    subject: Subject, pairs: TestPairs, scoring: Scoring, on_progress: OnProgress = no_progress
) -> Iterator[list[Result]]:
    """Yield the results of one image at a time, of those metrics that are not stored.

    Pairs are made and scored by several threads; in between the method computes alone, since
    its threads and these would slow each other down.

    Args:
        subject: what is scored.
        pairs: makes the test pairs of the score's test set.
        scoring: metrics, protocol and what is done already.
        on_progress: receives how many images are done, of how many.
    """
    subject.method.eval()
    names = list(pairs.names())
    missing = [name for name in names if scoring.missing_metrics(name)]
    finished = len(names) - len(missing)
    with ThreadPoolExecutor(scoring.workers) as pool:
        for group in _groups(missing, _PAIRS_PER_WORKER * scoring.workers):
            for pair, values in _score_group(subject, pairs, scoring, group, pool):
                yield _results(subject, scoring.spec, pairs.data_set(pair.column), pair, values)
                finished += 1
                on_progress(finished, len(names))


def _score_group(
    subject: Subject,
    source: TestPairs,
    scoring: Scoring,
    names: Sequence[Name],
    pool: ThreadPoolExecutor,
) -> Iterator[tuple[Pair, dict[str, float]]]:
    """Yield pairs with their values by metric id."""
    pairs = list(pool.map(lambda name: source.make(*name), names))
    restored, clean, metrics = [], [], []
    for pair, name in zip(pairs, names, strict=True):
        label = pair.task if subject.needs_task_labels else None
        restored.append(restore_image(subject.method, pair.degraded, subject.device, label))
        clean.append(pair.clean)
        metrics.append(scoring.missing_metrics(name))
    values = score_pairs(restored, clean, scoring.spec.protocol, metrics, pool)
    yield from zip(pairs, values, strict=True)


def _results(
    subject: Subject, spec: ScoreSpec, data_set: str, pair: Pair, values: Mapping[str, float]
) -> list[Result]:
    results = []
    for metric, value in values.items():
        result = Result(
            weights=spec.weights,
            score=spec_hash(spec),
            method=subject.method_id,
            seed=subject.seed,
            setting=spec.test.setting,
            data_set=data_set,
            column=pair.column,
            image=pair.image,
            metric=metric,
            preprocessing=spec.test.preprocessing.id,
            protocol=spec.protocol.id,
            value=value,
            origin=subject.origin,
        )
        results.append(result)
    return results


def _groups(names: Sequence[Name], size: int) -> Iterator[Sequence[Name]]:
    """Yield consecutive groups of at most ``size``."""
    for start in range(0, len(names), size):
        yield names[start : start + size]
