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
SpecAndValues = tuple[ScoreSpec, dict[str, float]]
"""Under what an image was scored, and its values by metric id."""


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
        also: the same test set under further protocols; an image is restored once for all.
    """

    spec: ScoreSpec
    metrics: Sequence[Metric]
    done: Collection[tuple[str, str, str]] = ()
    workers: int = 1
    also: tuple[Scoring, ...] = ()

    @property
    def all(self) -> tuple[Scoring, ...]:
        """This one and those of further protocols."""
        return (self, *self.also)

    def is_missing(self, name: Name) -> bool:
        """Return whether results of an image are not stored under any of the protocols."""
        return any(scoring.missing_metrics(name) for scoring in self.all)

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
    missing = [name for name in names if scoring.is_missing(name)]
    finished = len(names) - len(missing)
    with ThreadPoolExecutor(scoring.workers) as pool:
        for group in _groups(missing, _PAIRS_PER_WORKER * scoring.workers):
            for pair, scores in _score_group(subject, pairs, scoring, group, pool):
                results: list[Result] = []
                for spec, values in scores:
                    data_set = pairs.data_set(pair.column)
                    results += _results(subject, spec, data_set, pair, values)
                yield results
                finished += 1
                on_progress(finished, len(names))


def _score_group(
    subject: Subject,
    source: TestPairs,
    scoring: Scoring,
    names: Sequence[Name],
    pool: ThreadPoolExecutor,
) -> Iterator[tuple[Pair, list[SpecAndValues]]]:
    """Yield pairs with their values by metric id, under each protocol."""
    pairs = list(pool.map(lambda name: source.make(*name), names))
    restored, clean = [], []
    for pair in pairs:
        label = pair.task if subject.needs_task_labels else None
        restored.append(restore_image(subject.method, pair.degraded, subject.device, label))
        clean.append(pair.clean)
    scores: list[list[SpecAndValues]] = [[] for _ in pairs]
    for part in scoring.all:
        metrics = list(map(part.missing_metrics, names))
        values = score_pairs(restored, clean, part.spec.protocol, metrics, pool)
        for of_pair, found in zip(scores, values, strict=True):
            of_pair.append((part.spec, found))
    yield from zip(pairs, scores, strict=True)


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
