"""Scoring a folder of restored images, whatever restored them, without any method."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.config.errors import HarnessError
from harness.config.files import datasets_folder
from harness.config.protocol_files import NamedProtocol, load_protocols
from harness.config.protocols import Protocol
from harness.data.images.read import read_image
from harness.data.on_disk.pairing import pair_folders
from harness.data.parallel_map import OnProgress, no_progress
from harness.evaluation.metrics.arrays import Image
from harness.evaluation.metrics.definition import Metric, MetricFacts
from harness.evaluation.metrics.registry import metric_facts, metric_ids, resolve_metrics
from harness.evaluation.protocols import Size, score_under, scored_sizes

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("restored", "clean", "protocol", "metric", "value")
"""Columns of :meth:`FolderScores.to_dataframe`."""

_MOST_NAMES = 10
"""Names of files that a message lists."""


@dataclass(frozen=True)
class ScoringRequest:
    """What to score.

    Attributes:
        restored: folder of restored images.
        clean: folder of clean images.
        protocols: names of protocols in ``datasets/protocols``.
        metrics: more metrics under each protocol, by id or by pyiqa's name.
        pairing: how names of files belong together: ``stem``, ``prefix`` or ``rain``.
        workers: threads; 0 for one per core.
    """

    restored: Path
    clean: Path
    protocols: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    pairing: str = "stem"
    workers: int = 0


@dataclass(frozen=True)
class FileScore:
    """The values of one restored file: protocol id to metric id to value."""

    restored: Path
    clean: Path
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class FolderScores:
    """The scores of a folder.

    Attributes:
        files: one entry per pair, in natural order of names.
        protocols: what was applied; the metrics of each include those of the request, as ids.
        metrics: facts of all metrics, by id.
        restored_alone: restored images without a clean one.
        clean_alone: clean images without a restored one.
    """

    files: tuple[FileScore, ...]
    protocols: tuple[NamedProtocol, ...]
    metrics: Mapping[str, MetricFacts]
    restored_alone: tuple[Path, ...]
    clean_alone: tuple[Path, ...]

    def values(self, protocol: str, metric: str) -> list[float]:
        """Return the values of all files, by ids of protocol and metric."""
        return [file.values[protocol][metric] for file in self.files]

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row per file, protocol and metric; columns are those of ``COLUMNS``."""
        import pandas as pd

        return pd.DataFrame(list(self.rows()), columns=list(COLUMNS))

    def rows(self) -> Iterator[tuple[str, str, str, str, float]]:
        """Yield names of both files, ids of protocol and metric, and the value."""
        for file in self.files:
            for protocol, values in file.values.items():
                for metric, value in values.items():
                    yield file.restored.name, file.clean.name, protocol, metric, value


def score_folders(request: ScoringRequest, on_progress: OnProgress = no_progress) -> FolderScores:
    """Score restored images against clean ones under one or several protocols.

    Raises:
        UsageError: an unknown protocol, metric or pairing rule, or nothing pairs.
        HarnessError: a file cannot be read, or sizes do not fit.
    """
    protocols = []
    for named in load_protocols(list(request.protocols), datasets_folder()):
        ids = metric_ids([*named.protocol.metrics, *request.metrics])
        protocol = named.protocol.model_copy(update={"metrics": ids})
        protocols.append(named.model_copy(update={"protocol": protocol}))
    rules = [named.protocol for named in protocols]
    ids = metric_ids(name for rule in rules for name in rule.metrics)
    known, facts = {}, {}
    for metric in resolve_metrics(ids):
        known[metric.id] = metric
        facts[metric.id] = metric_facts(metric.id, metric.higher_is_better)
    found = pair_folders(request.restored, request.clean, request.pairing)
    workers = request.workers or _cores()
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


def mean_of(scores: Sequence[FileScore], protocol: str, metric: str) -> float:
    """Return the mean over images of one metric: decibels are averaged, never errors."""
    return float(np.mean([score.values[protocol][metric] for score in scores]))


def shortened(names: Sequence[str], separator: str = ", ", most: int = _MOST_NAMES) -> str:
    """Join at most ``most`` names, and how many more there are."""
    text = separator.join(names[:most])
    return text if len(names) <= most else f"{text}{separator}and {len(names) - most} more"


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


def _cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
