"""Scoring one restored image against the clean one, under a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from harness.errors import HarnessError
from harness.evaluation.metrics import Image, Metric
from harness.spec import Protocol


def score_pair(
    restored: Image, clean: Image, protocol: Protocol, metrics: Sequence[Metric]
) -> dict[str, float]:
    """Return metric id to value for (H, W, 3) images; ``restored`` is clamped to [0, 1].

    Raises:
        HarnessError: sizes differ, or nothing is left inside the protocol's border.
    """
    if restored.shape != clean.shape:
        raise HarnessError(
            f"restored and clean image differ in size: {restored.shape} against {clean.shape}; "
            "a method must return the size it was given"
        )
    restored = np.clip(restored, 0, 1)
    if protocol.quantise:
        restored = np.rint(restored * 255) / 255
    border = protocol.border_px
    if border:
        if min(clean.shape[:2]) <= 2 * border:
            raise HarnessError(
                f"protocol {protocol.id} removes {border} pixels on each side, and an image "
                f"has only {min(clean.shape[:2])}"
            )
        inner = slice(border, -border)
        restored, clean = restored[inner, inner], clean[inner, inner]
    return {metric.id: metric.function(restored, clean) for metric in metrics}


def score_pairs(
    restored: Sequence[Image],
    clean: Sequence[Image],
    protocol: Protocol,
    metrics: Sequence[Sequence[Metric]],
    pool: ThreadPoolExecutor,
) -> list[dict[str, float]]:
    """Return what :func:`score_pair` returns of each pair, measured in the threads of ``pool``.

    ``metrics`` are those of each pair. Metrics that are not concurrent run here, one by one.
    """
    inside = [[m for m in of_pair if m.concurrent] for of_pair in metrics]
    pending = [
        pool.submit(score_pair, a, b, protocol, of_pair)
        for a, b, of_pair in zip(restored, clean, inside, strict=True)
    ]
    scores = [future.result() for future in pending]
    for values, a, b, of_pair in zip(scores, restored, clean, metrics, strict=True):
        alone = [m for m in of_pair if not m.concurrent]
        if alone:
            values |= score_pair(a, b, protocol, alone)
    return scores
