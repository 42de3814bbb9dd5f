"""Scoring a method on pairs: what is stored is not computed again, threads change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.config.errors import RunError
from harness.config.run_specs import ScoreSpec
from harness.data.sources.samples import Pair
from harness.evaluation.evaluate import Scoring, Subject, evaluate
from harness.evaluation.memory import MemoryGuard, free_bytes
from harness.evaluation.metrics import Metric, resolve_metrics
from harness.evaluation.restore import restore_image, to_batch
from harness.execution.progress import PlainProgress
from tests.plans import plan_of

PSNR = resolve_metrics(["psnr_rgb"])
CPU = torch.device("cpu")


class Darker(torch.nn.Module):
    """Subtracts a tenth, and remembers the labels that were passed."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: list[tuple[str, ...] | None] = []

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        self.labels.append(tasks)
        return degraded - 0.1


@dataclass
class Noisy:
    """Pairs of random images, so that an order that is mixed up shows."""

    made: list[tuple[str, str]] = field(default_factory=list)

    def names(self) -> Iterator[tuple[str, str]]:
        for column in ("dehaze", "derain"):
            for image in range(7):
                yield column, str(image)

    def data_set(self, column: str) -> str:
        return f"set of {column}"

    def make(self, column: str, image: str) -> Pair:
        self.made.append((column, image))
        clean = np.random.default_rng(int(image)).random((32, 48, 3)).astype(np.float32)
        return Pair(column, column, image, image, clean, clean)


@pytest.fixture(scope="module")
def spec() -> ScoreSpec:
    found = plan_of(["degraded-input"]).runs[-1].score
    assert found is not None
    return found


def subject(method: Darker, needs_task_labels: bool = False) -> Subject:
    return Subject(method, "darker", 3, needs_task_labels, CPU)  # type: ignore[arg-type]


def scoring(spec: ScoreSpec, metrics: list[Metric], workers: int = 1) -> Scoring:
    return Scoring(spec, metrics, workers=workers)


def test_one_list_of_results_per_image_in_order(spec: ScoreSpec) -> None:
    seen: list[tuple[int, int]] = []
    found = list(
        evaluate(subject(Darker()), Noisy(), scoring(spec, PSNR), lambda *at: seen.append(at))
    )
    assert seen == [(done, 14) for done in range(1, 15)]
    assert [(r.column, r.image) for (r,) in found] == list(Noisy().names())
    first = found[0][0]
    assert (first.method, first.seed, first.metric) == ("darker", 3, "psnr_rgb")
    assert (first.data_set, first.origin, first.weights) == (
        *("set of dehaze", "measured", spec.weights),
    )
    # A tenth darker, but for what is clamped at black.
    assert all(20 < r.value < 21 for (r,) in found)


def test_threads_change_nothing(spec: ScoreSpec) -> None:
    metrics = resolve_metrics(["psnr_rgb", "ssim_rgb_uniform7"])
    one = list(evaluate(subject(Darker()), Noisy(), scoring(spec, metrics)))
    several = list(evaluate(subject(Darker()), Noisy(), scoring(spec, metrics, workers=3)))
    assert one == several


def test_what_is_stored_is_not_computed_again(spec: ScoreSpec) -> None:
    metrics = resolve_metrics(["psnr_rgb", "ssim_rgb_uniform7"])
    done = {(column, image, "psnr_rgb") for column, image in Noisy().names()}
    done |= {("dehaze", str(image), "ssim_rgb_uniform7") for image in range(7)}
    pairs, method = Noisy(), Darker()
    seen: list[tuple[int, int]] = []
    found = list(
        evaluate(subject(method), pairs, Scoring(spec, metrics, done), lambda *at: seen.append(at))
    )
    assert [[r.metric for r in results] for results in found] == [["ssim_rgb_uniform7"]] * 7
    assert {column for column, _ in pairs.made} == {"derain"}
    assert seen[0] == (8, 14)
    assert len(method.labels) == 7


def test_labels_are_passed_to_who_needs_them(spec: ScoreSpec) -> None:
    method = Darker()
    list(evaluate(subject(method, needs_task_labels=True), Noisy(), scoring(spec, PSNR)))
    assert method.labels == [("dehaze",)] * 7 + [("derain",)] * 7


def test_an_image_is_restored_as_it_is() -> None:
    image = np.random.default_rng(0).random((5, 7, 3)).astype(np.float32)
    restored = restore_image(Darker(), image, CPU)  # type: ignore[arg-type]
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, image - 0.1, atol=1e-7)


def test_a_stop_is_asked_after_each_image_and_loses_none(spec: ScoreSpec) -> None:
    method = Darker()

    def stop() -> bool:
        return len(method.labels) >= 3

    found = list(evaluate(subject(method), Noisy(), scoring(spec, PSNR, workers=2), stop=stop))
    assert len(method.labels) == 3, "no image is restored after the stop"
    assert [r.image for (r,) in found] == ["0", "1", "2"], "what is restored is scored"


def test_slow_images_are_handed_out_one_by_one(
    spec: ScoreSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.evaluation.evaluate._RESTORED_AT_ONCE_S", 0.0)
    method = Darker()
    results = evaluate(subject(method), Noisy(), scoring(spec, PSNR, workers=4))
    next(results)
    assert len(method.labels) == 1


def test_an_image_that_does_not_fit_into_memory_is_refused_by_name() -> None:
    image = np.zeros((1000, 2000, 3), np.float32)
    network = torch.nn.Conv2d(3, 50, 3, padding=1)

    def restore(crop: np.ndarray) -> object:
        with torch.no_grad():
            return network(to_batch(crop, CPU)).relu()

    guard = MemoryGuard(CPU, free_bytes=lambda: 10**9)
    with pytest.raises(RunError, match=r"a.png .* 2000x1000 pixels .* 1.1 GB, .*centre_px"):
        guard.check(image, "a.png", restore)
    # Input, 50 channels and their positive part, in float32.
    assert guard.bytes_per_px == pytest.approx(4 * (3 + 50 + 50), rel=0.2)
    MemoryGuard(CPU, free_bytes=lambda: 10**10).check(image, "a.png", restore)
    MemoryGuard(CPU, free_bytes=lambda: None).check(image, "a.png", restore)
    guard.check(image[:500, :500], "a.png", restore)
    assert free_bytes(CPU) is None or free_bytes(CPU) > 0


def test_progress_in_a_file_has_lines_and_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("harness.execution.progress.time.monotonic", lambda: now[0])
    progress = PlainProgress("cpl seed 0")
    for done in range(1, 11):
        now[0] += 10
        progress.images("scored", done, 10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[cpl seed 0] scored 3/10 images  1m10s left"
    assert lines[-1] == "[cpl seed 0] scored 10 images"
    assert len(lines) == 5
