"""Scoring a folder of restored images, whatever restored them, without any method."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

import numpy as np

from harness.config.cores import cores
from harness.config.errors import HarnessError
from harness.config.files import load_protocols
from harness.config.protocols import Protocol
from harness.data.images.read import read_image
from harness.data.on_disk.pairing import pair_folders
from harness.data.parallel_map import OnProgress, no_progress
from harness.evaluation.folder_scores import (
    FileScore,
    FolderScores,
    ScoringRequest,
    shortened,
)
from harness.evaluation.metrics.arrays import Image
from harness.evaluation.metrics.definition import Metric
from harness.evaluation.metrics.registry import metric_facts, metric_ids, resolve_metrics
from harness.evaluation.protocols import Size, score_under, scored_sizes

__all__ = [
    "FileScore",
    "FolderScores",
    "ScoringRequest",
    "check_sizes",
    "score_files",
    "score_folders",
]


def score_folders(request: ScoringRequest, on_progress: OnProgress = no_progress) -> FolderScores:
    """Score restored images against clean ones under one or several protocols.

    Raises:
        UsageError: an unknown protocol, metric or pairing rule, or nothing pairs.
        HarnessError: a file cannot be read, or sizes do not fit.
    """
    protocols, rules, names = [], [], list[str]()
    for named in load_protocols(request.protocols):
        ids = metric_ids([*named.protocol.metrics, *request.metrics])
        rule = named.protocol.model_copy(update={"metrics": ids})
        protocols.append(named.model_copy(update={"protocol": rule}))
        rules.append(rule)
        names += ids
    known, facts = {}, {}
    for metric in resolve_metrics(names):
        known[metric.id] = metric
        facts[metric.id] = metric_facts(metric.id, metric.higher_is_better)
    found = pair_folders(request.restored, request.clean, request.pairing)
    workers = request.workers or cores()
    with _one_thread_per_image():
        files = score_files(found.pairs, rules, known, workers, on_progress)
    return FolderScores(
        files=tuple(files),
        protocols=tuple(protocols),
        metrics=facts,
        restored_alone=found.restored_alone,
        clean_alone=found.clean_alone,
    )


def score_files(
    pairs: Sequence[tuple[Path, Path]],
    protocols: Sequence[Protocol],
    known: Mapping[str, Metric] | None = None,
    workers: int = 1,
    on_progress: OnProgress = no_progress,
) -> list[FileScore]:
    """Score (restored, clean) files under ``protocols``, ``workers`` at once, in their order.

    Raises:
        HarnessError: a file cannot be read, or sizes do not fit; all that do not are named,
            before anything is scored.
    """
    check_sizes(pairs, protocols)
    score = partial(_score_file, protocols=protocols, known=known)
    with ThreadPoolExecutor(workers) as pool:
        pending = [pool.submit(score, restored, clean) for restored, clean in pairs]
        try:
            for done, future in enumerate(as_completed(pending), 1):
                future.result()
                on_progress(done, len(pairs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in pending]


def check_sizes(pairs: Sequence[tuple[Path, Path]], protocols: Sequence[Protocol]) -> None:
    """Refuse restored images whose size no protocol foresees, by name, from headers alone.

    Raises:
        HarnessError: names the files with both sizes.
    """
    wrong = []
    for restored, clean in pairs:
        restored_size, clean_size = _header_size(restored), _header_size(clean)
        if all(restored_size in scored_sizes(clean_size, protocol) for protocol in protocols):
            continue
        wrong.append(
            f"{restored.name} is {restored_size[1]}x{restored_size[0]}, "
            f"{clean.name} {clean_size[1]}x{clean_size[0]}"
        )
    if wrong:
        raise HarnessError(
            f"{len(wrong)} of {len(pairs)} restored images do not have the size of their clean "
            f"one: {shortened(wrong, '; ')}; restore whole images, or choose a protocol that crops "
            "them alike"
        )


def _score_file(
    restored: Path,
    clean: Path,
    protocols: Sequence[Protocol],
    known: Mapping[str, Metric] | None,
) -> FileScore:
    try:
        values = score_under(_in_unit_range(restored), _in_unit_range(clean), protocols, known)
    except HarnessError as error:
        if str(restored) in str(error) or str(clean) in str(error):
            raise
        raise HarnessError(f"{restored}: {error}") from error
    return FileScore(restored, clean, values)


def _in_unit_range(path: Path) -> Image:
    return read_image(path).astype(np.float32) / np.float32(255)


def _header_size(path: Path) -> Size:
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError) as error:
        raise HarnessError(f"image {path} cannot be decoded ({error}); write it again") from error


@contextlib.contextmanager
def _one_thread_per_image() -> Iterator[None]:
    """Let OpenCV use one thread while images are scored side by side."""
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
