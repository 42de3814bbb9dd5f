"""Scoring folders of restored images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from harness.evaluation.score_folders import FolderScores, ScoringRequest, score_folders
from harness.execution.progress import progress_for


def score(
    restored: str | Path,
    clean: str | Path,
    protocols: Sequence[str] = ("three-task",),
    metrics: Sequence[str] = (),
    pairing: str = "stem",
    pair_template: str = "",
) -> FolderScores:
    """Score a folder of restored images against clean ones, whatever restored them.

    Example::

        scores = harness.score("out/", "gt/", protocols=["three-task", "basicsr-y"])
        print(scores.to_dataframe().mean(numeric_only=True))

    Args:
        restored: folder of restored images.
        clean: folder of clean images.
        protocols: names of protocols in ``datasets/protocols``.
        metrics: more metrics under each protocol, by id or by pyiqa's name.
        pairing: how names belong together: ``stem``, ``prefix`` or ``rain``.
        pair_template: names of restored files with fields, as ``{name}x4_{model}``, and after ``=``
            those of clean ones.

    Raises:
        HarnessError: nothing pairs, a file cannot be read, or sizes do not fit.
    """
    request = ScoringRequest(
        restored=Path(restored),
        clean=Path(clean),
        protocols=tuple(protocols),
        metrics=tuple(metrics),
        pairing=pairing,
        pair_template=pair_template,
    )
    return score_folders(request)


def score_with_progress(request: ScoringRequest) -> FolderScores:
    """Score as :func:`score` does, with a bar or lines of progress."""
    progress = progress_for("images", live=True)
    try:
        return score_folders(request, partial(progress.images, "scored"))
    finally:
        progress.close()
