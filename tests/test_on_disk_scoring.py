"""Scoring on data sets on disk: published ones where they are there, small ones everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from harness.cli import app
from harness.evaluation.metrics.psnr import psnr_rgb
from tests.networks import build_tiny
from tests.plans import plan_of

SHARED = Path(__file__).parents[2] / "shared"
TRAINED = {"denoise": "raintrainl"}


def built(root: Path) -> Path:
    """Write five images of CBSD68 and two pairs of Rain100L, of sizes that crops change."""
    rng = np.random.default_rng(0)

    def save(path: Path, values: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.astype(np.uint8)).save(path)

    for number in range(5):
        save(root / "CBSD68" / f"{101085 + number}.png", rng.integers(0, 256, (49, 66, 3)))
    for number in (1, 2):
        clean = rng.integers(0, 200, (40, 52, 3))
        save(root / "Rain100L" / "norain" / f"norain-{number:03}.png", clean)
        save(root / "Rain100L" / "rain" / f"rain-{number:03}.png", clean + 20)
    return root


def evaluate(*words: str) -> str:
    result = CliRunner().invoke(app, ["evaluate", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    # Lines are wrapped, also after hyphens.
    return " ".join(result.output.split()).replace("- ", "-")


def results_of(out: Path, method: str) -> list[dict[str, object]]:
    return [json.loads(x) for p in out.glob(f"{method}*/results.jsonl") for x in p.open()]


def test_sets_on_disk_are_scored_and_absent_ones_named(tmp_path: Path) -> None:
    root, weights = built(tmp_path / "data"), tmp_path / "weights.pth"
    torch.save(dict(build_tiny("restormer").state_dict()), weights)
    recipe = tmp_path / "whole.yaml"
    recipe.write_text("base: smoke\ntest: {images: null, centre_px: null}\n", encoding="utf-8")
    common = ("--method", "restormer", "--checkpoint", str(weights), "--recipe", str(recipe))
    out = tmp_path / "out"
    printed = evaluate(*common, "--data-root", str(root), "--out", str(out))
    assert "Not there: Dehaze (sots-outdoor)" in printed
    assert "(5/68)" in printed
    assert "σ=15 5 of 68" in printed
    assert "Derain 2 of 100" in printed
    results = results_of(out, "restormer")
    assert {result["data_set"] for result in results} == {"CBSD68", "Rain100L"}
    images = {(result["column"], result["image"]) for result in results}
    assert len(images) == 3 * 5 + 2
    inputs = results_of(out, "degraded-input")
    derain = [r["value"] for r in inputs if (r["column"], r["metric"]) == ("derain", "psnr_rgb")]
    assert derain == pytest.approx([20 * np.log10(255 / 20)] * 2)

    plain = tmp_path / "plain"
    evaluate(
        *(*common, "--data-root", str(root), "--out", str(plain)), "--noise-rounding", "unclipped"
    )
    noisy = [r for r in results_of(plain, "degraded-input") if r["column"] == "denoise25"]
    assert {r["preprocessing"] for r in noisy} == {"crop16-uint8-noise-unclipped"}


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(dict(build_tiny("restormer").state_dict()), weights)
    common = ["evaluate", "--method", "restormer", "--checkpoint", str(weights)]

    def error(*words: str) -> str:
        return str(CliRunner().invoke(app, [*common, *words]).exception)

    (tmp_path / "empty").mkdir()
    empty = ("--data-root", str(tmp_path / "empty"))
    assert "none of cbsd68, sots-outdoor, rain100l is there" in error(*empty)
    assert "none of cdd11-test is there" in error(*empty, "--setting", "composite")
    assert "did you mean 'round'" in error("--noise-rounding", "rund")
    root = built(tmp_path / "data")
    (root / "Rain100L" / "norain" / "norain-002.png").unlink()
    assert "1 files of rain100l" in error("--data-root", str(root))


def test_the_input_of_rain100l_reads_as_published() -> None:
    if not (SHARED / "data" / "Rain100L").is_dir():
        pytest.skip("needs Rain100L in ../shared/data")
    data = {"root": SHARED / "data", "train_sets": TRAINED}
    plan = plan_of(["promptir"], recipe="mini", data=data)
    assert plan.absent_columns == {"dehaze": "sots-outdoor"}
    pairs = plan.source.pairs(plan.test)
    values = []
    for column, image in pairs.names():
        if column == "derain":
            pair = pairs.make(column, image)
            values.append(psnr_rgb(pair.degraded, pair.clean))
    assert len(values) == 100
    assert np.mean(values) == pytest.approx(25.52, abs=0.03)
