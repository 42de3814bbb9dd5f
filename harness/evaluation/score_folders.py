"""Scoring a folder of restored images, from wherever they come, without any method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.config.errors import HarnessError
from harness.config.protocols import Protocol
from harness.data.synthetic.photographs import read_image
from harness.evaluation.metrics.registry import METRICS, Metric
from harness.evaluation.metrics.ssim import Image
from harness.evaluation.protocols import Size, score_under, scored_sizes


@dataclass(frozen=True)
class FileScore:
    """The values of one restored file: protocol id to metric id to value."""

    restored: Path
    clean: Path
    values: Mapping[str, Mapping[str, float]]


def score_files(
    pairs: Sequence[tuple[Path, Path]],
    protocols: Sequence[Protocol],
    known: Mapping[str, Metric] = METRICS,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[FileScore]:
    """Score (restored, clean) files under ``protocols``, ``workers`` at once, in their order.

    Raises:
        HarnessError: a file cannot be read, or sizes do not fit; all that do not are named,
            before anything is scored.
    """
    check_sizes(pairs, protocols)

    def score(pair: tuple[Path, Path]) -> FileScore:
        restored, clean = pair
        try:
            values = score_under(_unit(restored), _unit(clean), protocols, known)
        except HarnessError as error:
            if str(restored) in str(error) or str(clean) in str(error):
                raise
            raise HarnessError(f"{restored}: {error}") from error
        return FileScore(restored, clean, values)

    with ThreadPoolExecutor(workers) as pool:
        pending = [pool.submit(score, pair) for pair in pairs]
        try:
            for done, future in enumerate(as_completed(pending), 1):
                future.result()
                progress(done, len(pairs))
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
        ours, theirs = _header_size(restored), _header_size(clean)
        if any(ours not in scored_sizes(theirs, protocol) for protocol in protocols):
            wrong.append(
                f"{restored.name} is {ours[1]}x{ours[0]}, {clean.name} {theirs[1]}x{theirs[0]}"
            )
    if wrong:
        raise HarnessError(
            f"{len(wrong)} of {len(pairs)} restored images do not have the size of their clean "
            f"one: {shortened(wrong, '; ')}; restore whole images, or choose a protocol that cuts "
            "them alike"
        )


def mean_of(scores: Sequence[FileScore], protocol: str, metric: str) -> float:
    """Return the mean over images of one metric: decibels are averaged, never errors."""
    return float(np.mean([score.values[protocol][metric] for score in scores]))


def shortened(names: Sequence[str], separator: str = ", ", most: int = 10) -> str:
    """Join at most ``most`` names and say how many more there are."""
    text = separator.join(names[:most])
    return text if len(names) <= most else f"{text}{separator}and {len(names) - most} more"


def _unit(path: Path) -> Image:
    return read_image(path).astype(np.float32) / np.float32(255)


def _header_size(path: Path) -> Size:
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError) as error:
        raise HarnessError(f"image {path} cannot be decoded ({error}); write it again") from error
