"""Scoring a method on a test set: one row per image and metric."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.pairs import Pair, make_pair, pair_names
from harness.evaluation.metrics import Metric
from harness.evaluation.protocols import score_pair
from harness.method import Method
from harness.spec import ScoreSpec, spec_hash
from harness.store.rows import Row

DATASET = "synthetic-twin"
Done = Collection[tuple[str, str, str]]
"""(column, image, metric) triples whose rows are stored."""


@dataclass(frozen=True)
class Subject:
    """What is scored: trained weights with the names that its rows carry."""

    method: Method
    method_id: str
    seed: int
    given_true_task: bool
    device: torch.device


def evaluate(
    subject: Subject,
    spec: ScoreSpec,
    metrics: Sequence[Metric],
    cards: Path,
    done: Done,
    progress: Callable[[int, int], None],
) -> Iterator[list[Row]]:
    """Yield the rows of one image at a time, of those metrics that are not ``done``."""
    subject.method.eval()
    test, score_id = spec.test, spec_hash(spec)
    columns = {column.name: column for column in test.columns}
    names = list(pair_names(test.columns, [p.name for p in test.photographs]))
    for number, (column, image) in enumerate(names, start=1):
        wanted = [m for m in metrics if (column, image, m.id) not in done]
        if wanted:
            pair = make_pair(
                cards, "test", columns[column], test.tasks, image, test.preparation, test.centre_px
            )
            values = score_pair(restore(subject, pair), pair.clean, spec.protocol, wanted)
            yield [
                Row(
                    weights=spec.weights,
                    score=score_id,
                    method=subject.method_id,
                    seed=subject.seed,
                    setting=test.setting,
                    dataset=DATASET,
                    column=column,
                    image=image,
                    metric=metric,
                    preparation=test.preparation.id,
                    protocol=spec.protocol.id,
                    value=value,
                )
                for metric, value in values.items()
            ]
        progress(number, len(names))


def restore(subject: Subject, pair: Pair) -> NDArray[np.float32]:
    """Return the restored image of a pair, (H, W, 3) float32, not clamped."""
    degraded = torch.from_numpy(np.ascontiguousarray(pair.degraded.transpose(2, 0, 1)[None]))
    with torch.no_grad():
        restored = subject.method.restore(
            degraded.to(subject.device), (pair.task,) if subject.given_true_task else None
        )
    image: NDArray[np.float32] = restored[0].float().cpu().numpy().transpose(1, 2, 0)
    return image
