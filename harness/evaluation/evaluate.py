"""Scoring a method on a test set: one result per image and metric."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch

from harness.config.errors import RunError, is_out_of_memory, reason_of
from harness.config.hashing import spec_hash
from harness.config.ranks import ALONE, Ranks
from harness.config.run_specs import ScoreSpec
from harness.data.images.arrays import Float
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.sources.protocol import TestPairs
from harness.data.sources.samples import Pair
from harness.evaluation.memory import MemoryGuard, no_memory_for
from harness.evaluation.metrics.definition import Metric, SetMetric
from harness.evaluation.protocols import score_pairs
from harness.evaluation.restore import restore_image
from harness.evaluation.restorer import Restorer, restore_large
from harness.evaluation.set_scores import Features, SetRequest, SetScores
from harness.method import Method
from harness.store.results import WHOLE_COLUMN, Origin, Result

_PAIRS_PER_WORKER = 4
"""Pairs in memory for each worker."""

TILED_ABOVE_PX = 2**21
"""Images of more pixels are restored in tiles, under a protocol that says so."""

_RESTORED_AT_ONCE_S = 5.0
"""After so many seconds, what was restored is scored and handed out."""

Name = tuple[str, str]
"""Column and image."""
OnRestored = Callable[[Pair, Float], None]
"""Receives each pair with its restored image, (H, W, 3) and not clamped."""
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
        set_metrics: what is measured of all images of a column at once.
        ranks: the processes that share out the images.
    """

    spec: ScoreSpec
    metrics: Sequence[Metric]
    done: Collection[tuple[str, str, str]] = ()
    workers: int = 1
    also: tuple[Scoring, ...] = ()
    set_metrics: Sequence[SetMetric] = ()
    ranks: Ranks = ALONE

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

    def set_request(self) -> SetRequest:
        """Return the set metrics, and the columns of which they are stored."""
        done = {(column, metric) for column, image, metric in self.done if image == WHOLE_COLUMN}
        return SetRequest(self.spec.protocol, self.set_metrics, done)


def never_stop() -> bool:
    """Answer that nobody asked to stop."""
    return False


def keep_nothing(pair: Pair, restored: Float) -> None:
    """Let a restored image go."""


def evaluate(
    subject: Subject,
    pairs: TestPairs,
    scoring: Scoring,
    on_progress: OnProgress = no_progress,
    stop: Callable[[], bool] = never_stop,
    on_restored: OnRestored = keep_nothing,
) -> Iterator[list[Result]]:
    """Yield the results of one image at a time, of those metrics that are not stored.

    Values of a whole column come with its last image.
    Pairs are made and scored by several threads; in between the method computes alone, since
    its threads and these would slow each other down. Of several processes each restores and scores
    a share of the images, and all yield the results of all images in the same order.

    Args:
        subject: what is scored.
        pairs: makes the test pairs of the score's test set.
        scoring: metrics, protocol and what is done already.
        on_progress: receives how many images are done, of how many.
        stop: asked after each image that is restored. If it answers yes, what is restored is
            scored and yielded, and no more.
        on_restored: receives every restored image before its results are yielded, from several
            threads.

    Raises:
        RunError: an image is too large for the memory.
    """
    subject.method.eval()
    names = list(pairs.names())
    sets = _sets(scoring, names)
    missing = [name for name in names if scoring.is_missing(name) or sets.needs(name[0])]
    finished = len(names) - len(missing)
    ranks, asked = scoring.ranks, _Asked(stop)
    with ThreadPoolExecutor(scoring.workers) as pool:
        evaluation = _Evaluation(subject, pairs, scoring, sets, pool, on_restored)
        for group in _groups(missing, _PAIRS_PER_WORKER * scoring.workers * ranks.count):
            own = evaluation.scored(group[ranks.rank :: ranks.count], asked)
            of_all = own
            if not ranks.alone:
                numbers = range(ranks.rank, len(group), ranks.count)
                of_all = iter(ranks.merged(list(zip(numbers, own, strict=False))))
            for of_pair in of_all:
                yield [*of_pair.results, *evaluation.of_column(of_pair)]
                finished += 1
                on_progress(finished, len(names))
            if ranks.any(asked.to_stop):
                return


class _Asked:
    """A question whether to stop, and whether the answer was ever yes."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.stop, self.to_stop = stop, False

    def __call__(self) -> bool:
        self.to_stop = self.to_stop or self.stop()
        return self.to_stop


@dataclass(frozen=True)
class _ScoredPair:
    """What is measured of one image, and what metrics of its whole column need of it."""

    column: str
    results: list[Result]
    features: Features


@dataclass(frozen=True)
class _Evaluation:
    """What makes, restores and scores the pairs of one evaluation."""

    subject: Subject
    pairs: TestPairs
    scoring: Scoring
    sets: SetScores
    pool: ThreadPoolExecutor
    on_restored: OnRestored

    def scored(self, names: Sequence[Name], stop: Callable[[], bool]) -> Iterator[_ScoredPair]:
        """Yield what is measured of each image, until ``stop`` answers yes."""
        subject, pool = self.subject, self.pool
        guard, tile_px = MemoryGuard.of(subject.device), self.scoring.spec.protocol.tile_px
        restore = partial(restore_pair, subject, guard=guard, tile_px=tile_px)
        waiting = deque(pool.map(lambda name: self.pairs.make(*name), names))
        while waiting:
            restored = _restore_some(restore, waiting, stop)
            list(pool.map(self.on_restored, *zip(*restored, strict=True)))
            for pair, image, scores in _scored(restored, self.scoring, pool):
                results: list[Result] = []
                place = Place(self.pairs.data_set(pair.column), pair.column, pair.image)
                for spec, values in scores:
                    results += _results(subject, spec, place, values)
                features = self.sets.features(pair.column, image, pair.clean)
                yield _ScoredPair(pair.column, results, features)
            if stop():
                return

    def of_column(self, scored: _ScoredPair) -> Iterator[Result]:
        """Add an image, and yield the values of its column if it is the last."""
        place = Place(self.pairs.data_set(scored.column), scored.column, WHOLE_COLUMN)
        for found in self.sets.add(scored.column, scored.features):
            spec = self.scoring.all[found.request].spec
            yield from _results(self.subject, spec, place, {found.metric: found.value})


def _restore_some(
    restore: Callable[[Pair], Float], waiting: deque[Pair], stop: Callable[[], bool]
) -> list[tuple[Pair, Float]]:
    """Restore at least one of the waiting pairs, and more while that takes but seconds."""
    began = time.monotonic()
    restored = []
    while waiting:
        pair = waiting.popleft()
        restored.append((pair, restore(pair)))
        if stop() or time.monotonic() - began > _RESTORED_AT_ONCE_S:
            break
    return restored


def restore_pair(
    subject: Subject, pair: Pair, guard: MemoryGuard, tile_px: int | None = None
) -> Float:
    """Return what the subject makes of a degraded image: (H, W, 3) float32, not clamped.

    With ``tile_px``, a protocol's side of tiles, a large image is restored in tiles.

    Raises:
        RunError: the image is too large for the memory.
    """
    image = pair.degraded
    if tile_px is not None and image.shape[0] * image.shape[1] > TILED_ABOVE_PX:
        restorer = Restorer(
            method=subject.method,
            name=subject.method_id,
            tasks=(),
            needs_task_labels=subject.needs_task_labels,
            device=subject.device,
        )
        return restore_large(restorer, image, pair.task, tile_px)
    restore = partial(_restore, subject, pair.task)
    name = f"{pair.image} ({pair.column})"
    guard.check(image, name, restore)
    try:
        return restore(image)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(no_memory_for(image, name, reason_of(error))) from error


def _restore(subject: Subject, task: str, degraded: Float) -> Float:
    label = task if subject.needs_task_labels else None
    return restore_image(subject.method, degraded, subject.device, label)


def _scored(
    restored: Sequence[tuple[Pair, Float]], scoring: Scoring, pool: ThreadPoolExecutor
) -> Iterator[tuple[Pair, Float, list[SpecAndValues]]]:
    """Yield pairs, restored images and their values by metric id, under each protocol."""
    pairs, images, clean = [], [], []
    for pair, image in restored:
        pairs.append(pair)
        images.append(image)
        clean.append(pair.clean)
    scores: list[list[SpecAndValues]] = [[] for _ in pairs]
    for part in scoring.all:
        metrics = [part.missing_metrics((pair.column, pair.image)) for pair in pairs]
        values = score_pairs(images, clean, part.spec.protocol, metrics, pool)
        for of_pair, found in zip(scores, values, strict=True):
            of_pair.append((part.spec, found))
    yield from zip(pairs, images, scores, strict=True)


@dataclass(frozen=True)
class Place:
    """What a value is of: a data set, a column, and an image or all of them."""

    data_set: str
    column: str
    image: str


def _results(
    subject: Subject, spec: ScoreSpec, place: Place, values: Mapping[str, float]
) -> list[Result]:
    results = []
    for metric, value in values.items():
        result = Result(
            weights=spec.weights,
            score=spec_hash(spec),
            method=subject.method_id,
            seed=subject.seed,
            setting=spec.test.setting,
            data_set=place.data_set,
            column=place.column,
            image=place.image,
            metric=metric,
            preprocessing=spec.test.preprocessing_id,
            protocol=spec.protocol.id,
            value=value,
            origin=subject.origin,
        )
        results.append(result)
    return results


def _sets(scoring: Scoring, names: Sequence[Name]) -> SetScores:
    requests = [part.set_request() for part in scoring.all]
    return SetScores(requests, [column for column, _ in names])


def _groups(names: Sequence[Name], size: int) -> Iterator[Sequence[Name]]:
    """Yield consecutive groups of at most ``size``."""
    for start in range(0, len(names), size):
        yield names[start : start + size]
