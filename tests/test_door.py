"""The Python door: everything a script needs comes from ``import harness``."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.config.errors import HarnessError, UsageError
from harness.config.parsing import read_yaml
from harness.planning.request import RunRequest


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


def test_runs_are_computed_in_a_thread_too(tmp_path: Path) -> None:
    """Only the main thread receives signals; a notebook's widget or a server has others."""
    plan = harness.plan(methods=["degraded-input"], recipe="smoke", out=tmp_path)
    with ThreadPoolExecutor(1) as pool:
        (outcome,) = pool.submit(harness.run, plan, device="cpu").result()
    assert outcome.label == "degraded-input seed 0"
    assert not list(tmp_path.glob("*stop*"))


def test_evaluate_takes_an_architecture_of_spandrel(out: Path, tmp_path: Path) -> None:
    plan = harness.plan(methods=["promptir"], recipe="smoke", out=out)
    harness.run(plan, device="cpu")
    weights = plan.runs[-1].folder.weights
    with pytest.raises(HarnessError, match="1 of 2 runs failed: spandrel NAFNet") as failed:
        harness.evaluate(
            weights, "spandrel", architecture="NAFNet", recipe="smoke", out=tmp_path / "a"
        )
    assert "unknown key" not in str(failed.value)
    with pytest.raises(UsageError, match="architecture 'NAFNet' names a network of the method sp"):
        harness.evaluate(weights, architecture="NAFNet", recipe="smoke", out=tmp_path / "b")


@pytest.mark.parametrize("method", ["promptir", "spandrel"])
def test_required_weights_that_nothing_builds_on_are_refused(
    method: str, out: Path, tmp_path: Path
) -> None:
    weights = harness.plan(methods=["promptir"], recipe="smoke", out=out).runs[-1].folder.weights
    asked: dict[str, Any] = {
        "method": method,
        "required": {"task-classifier": str(weights)},
        "recipe": "smoke",
    }
    with pytest.raises(UsageError, match=r"--required task-classifier=.* builds on no other"):
        harness.evaluate(weights, out=tmp_path, **asked)


@pytest.mark.parametrize("written", ["~/runs", Path("~/runs")])
def test_a_path_may_begin_with_the_home_folder(
    written: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert harness.plan(methods=["degraded-input"], out=written).out == tmp_path / "runs"
    (tmp_path / "request.yaml").write_text("out: ~/runs\nplugins: [~/a.py]\n")
    request = RunRequest.model_validate(read_yaml(tmp_path / "request.yaml"))
    assert (request.out, request.plugins) == (tmp_path / "runs", (tmp_path / "a.py",))
    checkpoint = {"file": "~/w.pth", "required": {"task-classifier": "~/c.pth"}}
    request = RunRequest.model_validate({"checkpoint": checkpoint, "include": ["~/mine"]})
    assert request.checkpoint is not None
    assert request.checkpoint.file == tmp_path / "w.pth"
    assert request.checkpoint.required == {"task-classifier": tmp_path / "c.pth"}
    assert request.include == (tmp_path / "mine",)
    with pytest.raises(UsageError, match=r"out: '~nobody-here/x' begins with ~, and no such home"):
        harness.plan(out="~nobody-here/x")


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
