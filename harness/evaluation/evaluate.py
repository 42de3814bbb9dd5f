"""Scoring a method on a test set: one row per image and metric."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from harness.config.hashing import spec_hash
from harness.config.run_specs import ScoreSpec
from harness.data.sources.pairs import Pair
from harness.data.sources.protocol import TestPairs
from harness.evaluation.metrics.registry import Metric
from harness.evaluation.protocols import score_pairs
from harness.method import Method
from harness.store.results import Origin, Result

Done = Collection[tuple[str, str, str]]
"""(column, image, metric) triples whose rows are stored."""


@dataclass(frozen=True)
class Subject:
    """What is scored: trained weights with the names that its rows carry."""

    method: Method
    method_id: str
    seed: int
    needs_task_labels: bool
    device: torch.device
    origin: Origin = "measured"


def evaluate(
    subject: Subject,
    spec: ScoreSpec,
    metrics: Sequence[Metric],
    source: TestPairs,
    done: Done,
    progress: Callable[[int, int], None],
    workers: int,
) -> Iterator[list[Result]]:
    """Yield the rows of one image at a time, of those metrics that are not ``done``.

    Pairs are made and scored ``workers`` at once; in between the method has the machine alone,
    since its threads and these would slow each other down.
    """
    subject.method.eval()
    names = list(source.names())
    wanted = {name: [m for m in metrics if (*name, m.id) not in done] for name in names}

    missing = [name for name in names if wanted[name]]
    finished = len(names) - len(missing)
    with ThreadPoolExecutor(workers) as pool:
        for group in batched(missing, 4 * workers):
            pairs = list(pool.map(lambda name: source.make(*name), group))
            restored = [restore(subject, pair) for pair in pairs]
            chosen = [wanted[name] for name in group]
            scores = score_pairs(restored, [p.clean for p in pairs], spec.protocol, chosen, pool)
            for pair, values in zip(pairs, scores, strict=True):
                yield _rows(subject, spec, source.data_set(pair.column), pair, values)
                finished += 1
                progress(finished, len(names))


def _rows(
    subject: Subject, spec: ScoreSpec, data_set: str, pair: Pair, values: Mapping[str, float]
) -> list[Result]:
    return [
        Result(
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
        for metric, value in values.items()
    ]


def batched(names: Sequence[tuple[str, str]], size: int) -> Iterator[Sequence[tuple[str, str]]]:
    """Yield consecutive groups of at most ``size``."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def restore(subject: Subject, pair: Pair) -> NDArray[np.float32]:
    """Return the restored image of a pair, (H, W, 3) float32, not clamped."""
    degraded = torch.from_numpy(np.ascontiguousarray(pair.degraded.transpose(2, 0, 1)[None]))
    with torch.no_grad():
        restored = subject.method.restore(
            degraded.to(subject.device), (pair.task,) if subject.needs_task_labels else None
        )
    image: NDArray[np.float32] = restored[0].float().cpu().numpy().transpose(1, 2, 0)
    return image
