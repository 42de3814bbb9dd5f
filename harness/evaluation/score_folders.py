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
from harness.data.images.read import image_size, read_image
from harness.data.on_disk.pair_templates import template_rule
from harness.data.on_disk.pairing import PairingRule, find_rule, pair_folders
from harness.data.parallel_map import OnProgress, map_files, no_progress
from harness.evaluation.folder_scores import (
    FileScore,
    FolderScores,
    ScoringRequest,
    shortened,
)
from harness.evaluation.metrics.arrays import Image
from harness.evaluation.metrics.definition import Metric, SetMetric
from harness.evaluation.metrics.registry import (
    check_metric_weights,
    is_of_set,
    metric_facts,
    metric_ids,
    resolve_metrics,
    resolve_set_metrics,
)
from harness.evaluation.protocols import Size, apply_protocol, score_under, scored_sizes
from harness.evaluation.set_scores import FeaturePairs, check_size

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
        HarnessError: a file cannot be read, sizes do not fit, or all images are too small.
    """
    protocols, rules, names = [], [], list[str]()
    for named in load_protocols(request.protocols):
        ids = metric_ids([*named.protocol.metrics, *request.metrics])
        rule = named.protocol.model_copy(update={"metrics": ids})
        protocols.append(named.model_copy(update={"protocol": rule}))
        of_files = tuple(name for name in ids if not is_of_set(name))
        rules.append(rule.model_copy(update={"metrics": of_files}))
        names += ids
    check_metric_weights(names)
    known = {metric.id: metric for metric in resolve_metrics(names)}
    set_metrics = resolve_set_metrics(names)
    facts = {}
    for metric in (*known.values(), *set_metrics):
        facts[metric.id] = metric_facts(metric.id, metric.higher_is_better)
    found = pair_folders(request.restored, request.clean, pairing_rule(request))
    workers = request.workers or cores()
    with _one_thread_per_image():
        files = score_files(found.pairs, rules, known, workers, on_progress)
        sets = _score_sets(files, rules, set_metrics, on_progress)
    if not any(file.values for file in files):
        raise HarnessError(
            f"no image of {request.restored} is large enough to be scored: "
            f"{next(iter(files[0].too_small.values()))}; choose another protocol"
        )
    return FolderScores(
        files=tuple(files),
        protocols=tuple(protocols),
        metrics=facts,
        restored_alone=found.restored_alone,
        clean_alone=found.clean_alone,
        sets=sets,
    )


def pairing_rule(request: ScoringRequest) -> PairingRule:
    """Return the rule of a request: its template's, else the one that it names.

    Raises:
        UsageError: the template cannot be read, or no such rule is known.
    """
    if request.pair_template:
        return template_rule(request.pair_template)
    return find_rule(request.pairing)


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
    sizes = map_files(_sizes, pairs)
    for (restored, clean), (restored_size, clean_size) in zip(pairs, sizes, strict=True):
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
    """Score one pair; a protocol that it is too small for is left out, with the reason."""
    too_small: dict[str, str] = {}
    try:
        images = _in_unit_range(restored), _in_unit_range(clean)
        values = score_under(*images, protocols, known, too_small)
    except HarnessError as error:
        if str(restored) in str(error) or str(clean) in str(error):
            raise
        raise HarnessError(f"{restored}: {error}") from error
    return FileScore(restored, clean, values, too_small)


def _score_sets(
    files: Sequence[FileScore],
    protocols: Sequence[Protocol],
    metrics: Sequence[SetMetric],
    on_progress: OnProgress,
) -> dict[tuple[str, str], float]:
    """Return by ids of protocol and metric the values of all files that are large enough.

    Raises:
        HarnessError: there are too few files for a metric.
    """
    gathered: dict[tuple[str, str], FeaturePairs] = {}
    for protocol in protocols:
        large = [file for file in files if protocol.id not in file.too_small]
        for metric in metrics:
            check_size(metric, len(large), f"the folder under {protocol.id}")
            gathered[protocol.id, metric.id] = FeaturePairs(metric)
    if not gathered:
        return {}
    for done, file in enumerate(files, 1):
        images = _in_unit_range(file.restored), _in_unit_range(file.clean)
        for protocol in protocols:
            if protocol.id in file.too_small:
                continue
            prepared = apply_protocol(*images, protocol)
            for metric in metrics:
                gathered[protocol.id, metric.id].add(*prepared)
        on_progress(done, len(files))
    return {key: pairs.distance() for key, pairs in gathered.items()}


def _in_unit_range(path: Path) -> Image:
    return read_image(path).astype(np.float32) / np.float32(255)


def _sizes(pair: tuple[Path, Path]) -> tuple[Size, Size]:
    return image_size(pair[0]), image_size(pair[1])


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
