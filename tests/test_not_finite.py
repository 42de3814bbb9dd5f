"""What is not finite is never a score: restored images, validation, prompts, folders."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import harness
from harness.config.errors import RunError
from harness.config.files import load_protocol, load_setting, protocol_names
from harness.config.recipe_files import load_recipe
from harness.config.settings import Task
from harness.evaluation.metrics import known_metrics, resolve_metrics
from harness.evaluation.probes.definitions import (
    NO_EXPERT,
    collapsed,
    normalised_mutual_information,
    prompt_swap_gap_db,
    relative_entropy,
)
from harness.evaluation.protocols import score_pair
from harness.evaluation.restore import clamped, to_image
from harness.evaluation.validation import Outcome, Validation
from harness.reporting.probe_tables import AnalysedRun, latex_of, markdown_of, report_of
from harness.reporting.ranks import best_and_second, without_worse
from harness.training.scored_weights import ScoredWeights

NAN, INF = float("nan"), float("inf")


# --- restored images ---------------------------------------------------------------------


def test_an_image_with_one_bad_pixel_is_bad_throughout() -> None:
    """Clamping would make an infinite pixel white, and a border would cut a bad one off."""
    for value in (NAN, INF, -INF):
        batch = torch.rand(2, 3, 8, 8)
        batch[0, 1, 0, 0] = value
        assert np.isnan(to_image(batch)).all()
        assert torch.isnan(clamped(batch)[0]).all()
        assert torch.equal(clamped(batch)[1], batch[1])
    whole = torch.rand(1, 3, 8, 8) * 3 - 1
    assert torch.equal(clamped(whole), whole.clamp(0, 1))


@pytest.mark.parametrize("name", protocol_names())
def test_no_protocol_makes_a_number_of_what_is_not_finite(name: str) -> None:
    protocol = load_protocol(name).protocol
    known = known_metrics()
    metrics = [known[metric] for metric in protocol.metrics if metric in known]
    batch = torch.rand(1, 3, 64, 64)
    batch[0, 0, 5, 5] = INF
    values = score_pair(
        to_image(batch), np.random.default_rng(0).random((64, 64, 3)), protocol, metrics
    )
    assert all(map(math.isnan, values.values()))


def test_pyiqa_measures_no_image_that_is_not_finite() -> None:
    pytest.importorskip("pyiqa")
    (metric,) = resolve_metrics(["pyiqa:psnr"])
    image = np.full((32, 32, 3), 0.5, np.float32)
    assert math.isnan(metric.function(image * np.float32(NAN), image))


# --- ranks -------------------------------------------------------------------------------


def test_ranks_are_among_finite_values() -> None:
    values = {"a": NAN, "b": 1.0, "c": 2.0, "d": INF}
    assert best_and_second(values, higher_is_better=True) == {"c": 1, "b": 2}
    assert best_and_second({"a": INF, "b": 1.0}, higher_is_better=True) == {}
    ranks = {"b": 2, "c": 1}
    assert without_worse(ranks, values, 1.5, higher_is_better=True) == {"c": 1}
    assert without_worse(ranks, values, 1.5, higher_is_better=False) == {"b": 2}
    assert without_worse(ranks, values, INF, higher_is_better=True) == ranks


# --- validation --------------------------------------------------------------------------


class Constant(torch.nn.Module):
    """Restores every image to one value."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))

    def restore(self, degraded: Tensor, labels: object = None) -> Tensor:
        return torch.full_like(degraded, float(self.value))


@dataclass(frozen=True)
class OnePair:
    tasks: tuple[Task, ...]

    def pairs(self, task: Task) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        image = np.full((1, 3, 16, 16), 0.5, np.float32)
        yield image, image


def outcome(value: float) -> Outcome:
    tasks = load_setting("three-task").tasks[:1]
    validation = Validation(OnePair(tasks), ("a",), False)  # type: ignore[arg-type]
    return validation.score(Constant(value), torch.device("cpu"))  # type: ignore[arg-type]


def test_validation_says_that_it_is_not_finite() -> None:
    assert math.isnan(outcome(NAN).score)
    assert math.isnan(outcome(INF).score)
    assert math.isinf(outcome(0.5).score), "of an identical pair"
    assert outcome(NAN).text == "validation not finite on denoise15"
    assert "dB" in outcome(0.25).text


def test_a_validation_that_is_not_finite_is_never_the_best() -> None:
    optimisation = load_recipe("smoke").train.model_copy(
        update={"scored_checkpoint": "best-on-validation", "ema_decay": None}
    )
    method: Any = Constant(0.0)
    scored = ScoredWeights.of(method, optimisation)
    for step, score in enumerate((NAN, 20.0, INF, 19.0, NAN)):
        with torch.no_grad():
            method.value.fill_(step)
        found = Outcome(score, {}, f"validation {score}")
        scored.validate(
            method, SimpleNamespace(score=lambda *_, f=found: f), torch.device("cpu"), step
        )  # type: ignore[arg-type]
    assert (scored.best_score, scored.best_step) == (20.0, 1)
    assert float(scored.final(method)["value"]) == 1.0
    broken = ScoredWeights.of(method, optimisation)
    broken.validate(
        method,
        SimpleNamespace(score=lambda *_: Outcome(NAN, {}, "validation not finite on x")),  # type: ignore[arg-type]
        torch.device("cpu"),
        1,
    )
    with pytest.raises(RunError, match="no validation had a finite score"):
        broken.final(method)


# --- prompts -----------------------------------------------------------------------------


def test_probes_of_what_is_not_finite_are_not_numbers() -> None:
    assert math.isnan(relative_entropy([NAN, 0.5]))
    assert math.isnan(normalised_mutual_information([0, NO_EXPERT], ["a", "b"]))
    assert not collapsed({"level": {"a": [NAN, NAN], "b": [NAN, NAN]}})
    assert math.isnan(prompt_swap_gap_db([[30.0, 20.0], [NAN, 30.0]], ["a", "b"]))
    assert math.isnan(prompt_swap_gap_db([[INF, 20.0], [20.0, 30.0]], ["a", "b"]))
    assert prompt_swap_gap_db([[30.0, 20.0], [20.0, 30.0]], ["a", "b"]) == 10.0
    assert prompt_swap_gap_db([[30.0, 20.0], [20.0, 30.0]], ["a", "a"]) == 0.0


def test_tables_of_probes_show_gaps_where_nothing_is_known() -> None:
    information = {
        "families": None,
        "tasks": None,
        "families_by_chance": 0.1,
        "tasks_by_chance": 0.1,
    }
    analysis = {
        "columns": ["a", "b"],
        "routing": {
            "level1": {
                "expert_load": {"a": [None, None], "b": [1.0, 0.0]},
                "load_entropy": None,
                "normalised_mutual_information": information,
            }
        },
        "redundancy": {"level1": {"cosine_between_families": None, "cka_between_families": None}},
        "prompt_swap": {
            "psnr_db": [[None, 20.0], [20.0, 30.0]],
            "gap_db": [None, 10.0],
            "unselected": {"3": [None, 1.0]},
        },
        "explicit": None,
        "out_of_distribution": [
            {
                "kind": "mixed",
                "name": "x",
                "input_db": 10.0,
                "restored_db": None,
                "expert_load": {"level1": [None, None]},
            }
        ],
    }
    runs = [AnalysedRun("c seed 0", analysis)]
    for text in (report_of(runs), report_of(runs, 60), markdown_of(runs), latex_of(runs)):
        assert "--" in text
        assert "nan" not in text
        assert "10.00" in text
    assert max(map(len, report_of(runs, 60).splitlines())) <= 60


# --- folders -----------------------------------------------------------------------------


def test_a_folder_with_an_identical_pair_has_no_mean_and_names_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("restored", "clean"):
        (tmp_path / folder).mkdir()
    for name in ("same", "other"):
        image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"clean/{name}.png")
        changed = image if name == "same" else image // 2
        Image.fromarray(changed).save(tmp_path / f"restored/{name}.png")
    scores = harness.score(tmp_path / "restored", tmp_path / "clean")
    assert math.isnan(scores.mean("rgb-float-uniform7", "psnr_rgb"))
    assert scores.mean("rgb-float-uniform7", "ssim_rgb_uniform7") < 1
    (sentence,) = scores.not_finite_sentences()
    assert "same.png (inf)" in sentence
    text = scores.to_text()
    assert sentence in text
    assert "--" in text
    assert "inf" in text
    assert max(map(len, text.split("\n\n")[0].splitlines())) <= 80
