"""Scoring images at three noise levels: without a network, and with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.api.plans import plan as plan_of
from harness.api.speed.networks import NetworkCase
from harness.api.speed.photographs import clean_files
from harness.api.speed.subject import Prepared
from harness.config.files import load_setting
from harness.config.seeding import generator
from harness.data.images.arrays import Float
from harness.data.images.cache import DecodedImages
from harness.data.sources.protocol import TestPairs
from harness.data.sources.samples import Pair
from harness.data.synthetic.degradations.noise import Noise
from harness.data.synthetic.degrade import degrade
from harness.evaluation.evaluate import Scoring, Subject, evaluate
from harness.evaluation.metrics.registry import resolve_metrics
from harness.evaluation.protocols import score_pairs
from harness.execution.networks import build, initial_network
from harness.execution.process import keep_freed_memory, prepare_process

SIGMAS = (15, 25, 50)

Restore = Callable[[Float], Float]
"""Restores an image (H, W, 3) in [0, 1]."""


def plain_scoring(folder: str) -> Prepared:
    """Prepare the plain way: decode, add noise, and measure with scikit-image, one at a time."""
    return Prepared(_plain(clean_files(folder), lambda noisy: noisy))


def plain_scoring_with_network(folder: str, threads: int, size: str) -> Prepared:
    """Prepare the plain way with the published network in between."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    network: Any = build(*NetworkCase(size=size).published().specs(), {})
    network.eval()

    def restore(noisy: Float) -> Float:
        batch = torch.from_numpy(np.ascontiguousarray(noisy.transpose(2, 0, 1)))[None]
        with torch.no_grad():
            restored = network.restore(batch).clamp(0, 1)
        image: Float = restored[0].permute(1, 2, 0).numpy()
        return image

    return Prepared(_plain(clean_files(folder), restore))


def _plain(paths: list[Path], restore: Restore) -> Callable[[], None]:
    from PIL import Image
    from skimage import metrics

    published: Any = metrics  # its functions have no types

    def work() -> None:
        for sigma in SIGMAS:
            for path in paths:
                pixels = np.array(Image.open(path).convert("RGB"))
                noise = np.random.randn(*pixels.shape)  # noqa: NPY002, the published call
                noisy = np.clip(pixels + noise * sigma, 0, 255)
                restored = restore(noisy.astype(np.uint8).astype(np.float32) / np.float32(255))
                clean = pixels.astype(np.float32) / np.float32(255)
                published.peak_signal_noise_ratio(clean, restored, data_range=1)
                published.structural_similarity(clean, restored, data_range=1, channel_axis=-1)

    return work


def our_scoring(folder: str, threads: int) -> Prepared:
    """Prepare the same pairs through the harness: several made and measured at once, in float64."""
    prepare_process(threads)
    paths = clean_files(folder)
    images = DecodedImages(Path(folder) / "decoded")
    protocol = load_setting("three-task").protocol
    metrics = resolve_metrics(protocol.metrics)

    def make(task: tuple[int, Path]) -> tuple[Float, Float]:
        sigma, path = task
        clean = images.read(path).astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)
        noise = Noise(kind="noise", sigma_255=(sigma, sigma))
        noisy = degrade(clean, noise, [generator("bench", path.name, sigma)], "truncate")
        return _interleaved(noisy), _interleaved(clean)

    tasks: list[tuple[int, Path]] = []
    for sigma in SIGMAS:
        tasks += [(sigma, path) for path in paths]

    def work() -> None:
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(tasks), 4 * threads):
                pairs = list(pool.map(make, tasks[start : start + 4 * threads]))
                restored, clean = zip(*pairs, strict=True)
                score_pairs(restored, clean, protocol, [metrics] * len(pairs), pool)

    return Prepared(work)


def our_scoring_with_network(folder: str, threads: int, recipe: str) -> Prepared:
    """Prepare the noise columns of the three-task setting on a folder of clean images."""
    prepare_process(threads)
    plan = plan_of(methods=("promptir",), recipe=recipe, clean_images={"test": folder})
    run = plan.runs[-1]
    assert run.score is not None
    pairs = _NoiseColumns(plan.source.pairs(run.score.test))
    device = torch.device("cpu")
    subject = Subject(initial_network(run), run.method.id, 0, False, device)
    scoring = Scoring(run.score, resolve_metrics(plan.metrics), workers=threads)

    def work() -> None:
        for _ in evaluate(subject, pairs, scoring):
            pass

    return Prepared(work, is_repeated=False)


@dataclass(frozen=True)
class _NoiseColumns:
    """The test pairs of the columns with noise, and of no others."""

    pairs: TestPairs

    def names(self) -> Iterator[tuple[str, str]]:
        for column, image in self.pairs.names():
            if column.startswith("denoise"):
                yield column, image

    def data_set(self, column: str) -> str:
        return self.pairs.data_set(column)

    def make(self, column: str, image: str) -> Pair:
        return self.pairs.make(column, image)


def _interleaved(planar: Float) -> Float:
    return np.ascontiguousarray(planar[0].transpose(1, 2, 0))
