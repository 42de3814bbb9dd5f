"""The Python door: everything a script needs comes from ``import harness``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.config.errors import UsageError


def test_importing_the_door_loads_nothing_heavy() -> None:
    code = (
        "import sys, harness\n"
        "names = {'torch', 'pandas', 'numpy', 'pydantic', 'typer', 'matplotlib'}\n"
        "heavy = names & set(sys.modules)\n"
        "assert not heavy, heavy\nassert harness.__version__"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_door_lists_what_it_offers() -> None:
    assert {"plan", "run", "table", "load_results", "evaluate", "score"} <= set(dir(harness))
    with pytest.raises(AttributeError, match="no attribute 'plans'"):
        _ = harness.plans


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("door")


def test_from_a_plan_to_a_table(out: Path) -> None:
    plan = harness.plan(methods=["promptir"], recipe="smoke", out=out)
    outcomes = harness.run(plan, device="cpu")
    assert {outcome.label for outcome in outcomes} == {"degraded-input seed 0", "promptir seed 0"}
    assert harness.run(plan) == [], "what is stored is not computed again"
    table = harness.table(plan)
    assert "PromptIR" in str(table)
    assert "PromptIR" in table.to_markdown()
    assert r"\begin{table}" in table.to_latex()
    frame = table.to_dataframe()
    assert set(frame["method"]) == {"degraded-input", "promptir"}


def test_results_are_one_row_per_image_and_metric(out: Path) -> None:
    plan = harness.plan(methods=["promptir"], recipe="smoke", out=out)
    harness.run(plan, device="cpu")
    results = harness.load_results(out)
    assert list(results.columns) == [
        *("weights", "score", "method", "seed", "setting", "data_set", "column", "image"),
        *("metric", "preprocessing", "protocol", "value", "origin"),
    ]
    assert set(results["data_set"]) == {"synthetic"}
    identity = ["method", "seed", "column", "image", "metric"]
    assert not results.duplicated(identity).any()
    assert len(results) == 2 * 5 * 2 * 2


def test_a_misspelt_field_is_named() -> None:
    with pytest.raises(UsageError, match="unknown key 'recipee'; did you mean 'recipe'"):
        harness.plan(recipee="smoke")


def test_weights_of_a_run_are_evaluated(out: Path) -> None:
    plan = harness.plan(methods=["promptir"], recipe="smoke", out=out)
    harness.run(plan, device="cpu")
    weights = plan.runs[-1].folder.weights
    scored = harness.evaluate(weights, recipe="smoke", out=out / "evaluated")
    again = harness.table(scored).to_dataframe()
    assert "promptir" in set(again["method"])


def test_folders_of_images_are_scored(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for folder, noise in (("clean", 0), ("restored", 9)):
        (tmp_path / folder).mkdir()
        pixels = np.full((48, 48, 3), 100) + noise * rng.standard_normal((48, 48, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / folder / "a.png")
    scores = harness.score(tmp_path / "restored", tmp_path / "clean")
    frame = scores.to_dataframe()
    assert set(frame["metric"]) == {"psnr_rgb", "ssim_rgb_uniform7"}
    assert frame["value"].notna().all()
