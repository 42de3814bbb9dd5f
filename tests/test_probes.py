"""Probes on constructed numbers and on a constructed network whose answers are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from harness.config.run_specs import TestSet
from harness.config.settings import Setting
from harness.data.sources.samples import Pair
from harness.data.sources.synthetic import photograph_pairs
from harness.evaluation.probes.definitions import (
    chance_normalised_mutual_information,
    collapsed,
    cosine_similarity,
    linear_cka,
    normalised_mutual_information,
    prompt_swap_gap_db,
    prompt_swap_gaps_db,
    relative_entropy,
)
from harness.evaluation.probes.observe import Observer
from harness.evaluation.probes.out_of_distribution import ood_tasks
from harness.evaluation.probes.prompt_analysis import analyse_prompts
from harness.evaluation.probes.prompt_summary import summarise_prompts
from harness.execution.execute import execute
from harness.execution.process import Worker
from harness.method import Decoded, Override, Routing
from harness.reporting.figures.prompts import draw_prompts
from harness.reporting.probe_tables import AnalysedRun, latex_of, markdown_of, report_of
from harness.store.files import read_json_object, write_json
from tests.conftest import Run
from tests.plans import QUICK_RECIPE, plan_of

COLUMNS = ("denoise15", "denoise25", "denoise50", "dehaze", "derain")
VALUE = {"denoise15": 0.2, "denoise25": 0.3, "denoise50": 0.4, "dehaze": 0.6, "derain": 0.8}


# --- definitions -----------------------------------------------------------------------


def test_mutual_information_is_all_nothing_or_in_between() -> None:
    tasks = ["a", "a", "b", "b"]
    assert normalised_mutual_information([3, 3, 0, 0], tasks) == pytest.approx(1)
    assert normalised_mutual_information([0, 1, 2, 3], tasks) == pytest.approx(1), (
        "experts may share a task"
    )
    assert normalised_mutual_information([0, 1, 0, 1], tasks) == pytest.approx(0)
    assert normalised_mutual_information([1, 1, 1, 1], tasks) == 0
    assert normalised_mutual_information([0, 1], ["a", "a"]) == 0
    assert normalised_mutual_information([0, 0, 0, 0, 1, 2], ["a"] * 6) == 0
    # H(task) = log 2; knowing the expert leaves 3/4 of the images with H(1/3, 2/3).
    left = 0.75 * -(np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3)
    expected = 1 - left / np.log(2)
    assert normalised_mutual_information([0, 1, 1, 1], tasks) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), min_size=1, max_size=30))
def test_mutual_information_is_a_share_and_ignores_names(decisions: list[tuple[int, str]]) -> None:
    experts, tasks = [d[0] for d in decisions], [d[1] for d in decisions]
    value = normalised_mutual_information(experts, tasks)
    assert 0 <= value <= 1
    renamed = normalised_mutual_information([7 - e for e in experts], [f"{t}!" for t in tasks])
    assert renamed == pytest.approx(value)


def test_chance_grows_as_images_get_few() -> None:
    few, many = ["a", "b"] * 3, ["a", "b"] * 60
    rng = np.random.default_rng(0)
    of_few = chance_normalised_mutual_information([0, 1] * 3, few, rng)
    of_many = chance_normalised_mutual_information([0, 1] * 60, many, rng)
    assert of_few > 0.1
    assert of_many < 0.02


def test_entropy_is_relative_to_an_even_load() -> None:
    assert relative_entropy([1, 1, 1, 1]) == pytest.approx(1)
    assert relative_entropy([0, 3, 0]) == 0
    assert relative_entropy([1, 1, 0, 0]) == pytest.approx(0.5)
    assert relative_entropy([1]) == 0


def test_similarities_have_known_values() -> None:
    cosine = cosine_similarity([[1, 0], [2, 2], [0, -1], [0, 0]])
    np.testing.assert_allclose(cosine[0], [1, 2**-0.5, 0, 0], atol=1e-12)
    assert cosine[1, 2] == pytest.approx(-(2**-0.5))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4))
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    assert linear_cka(x, 3 * x @ rotation + 5) == pytest.approx(1)
    assert linear_cka(x, rng.standard_normal((200, 4))) < 0.1
    assert np.isnan(linear_cka(np.ones((9, 4)), x[:9]))


def test_a_gap_counts_other_families_alone() -> None:
    matrix = [[30.0, 29.0, 20.0], [28.0, 31.0, 21.0], [10.0, 12.0, 25.0]]
    assert prompt_swap_gaps_db(matrix, ["n", "n", "h"]) == pytest.approx([10, 10, 14])
    assert prompt_swap_gap_db(matrix, ["n", "n", "h"]) == pytest.approx(34 / 3)
    assert all(np.isnan(gap) for gap in prompt_swap_gaps_db(matrix, ["n"] * 3))
    assert prompt_swap_gap_db(matrix, ["n"] * 3) == 0


def test_one_expert_for_all_tasks_is_a_collapse() -> None:
    assert collapsed({"deep": {"a": [0.95, 0.05], "b": [0.9, 0.1]}})
    assert not collapsed({"deep": {"a": [0.95, 0.05], "b": [0.8, 0.2]}})
    assert not collapsed({"deep": {"a": [0.95, 0.05], "b": [0.05, 0.95]}})


# --- a network whose answers are known -------------------------------------------------


class Constructed(torch.nn.Module):
    """Sends values below a half to expert 0, others to 1; is wrong by a tenth under the other.

    The other experts are never chosen, and under them nothing is right. A classifier in its place
    decides by the same rule.
    """

    levels = ("upper", "lower")
    prompts = 6

    def __init__(self, explicit: bool = False) -> None:
        super().__init__()
        self.explicit = explicit

    def _own(self, image: Tensor) -> Tensor:
        return (image.mean((1, 2, 3)) >= 0.5).long()

    def encode(self, degraded: Tensor, rng: Any = None) -> Tensor:
        return degraded

    def choose(self, degraded: Tensor, tasks: tuple[str, ...] | None) -> Override | None:
        if not self.explicit:
            return None
        return dict.fromkeys(self.levels, torch.eye(6)[self._own(degraded)])

    def decode(self, features: Tensor, override: Override | None = None) -> Decoded:
        weights = torch.eye(6)[self._own(features)]
        used = (override or {}).get("lower", weights)
        error = torch.tensor([0.1, 0.1, 1, 1, 1, 1])[used.argmax(-1)]
        error = torch.where(used.argmax(-1) == self._own(features), 0.01, error)
        routing = {name: Routing(used, None) for name in self.levels}
        return Decoded(features - error[:, None, None, None], routing, {})

    def prompt_bank(self, level: str) -> Tensor:
        ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
        other = torch.arange(16.0).reshape(1, 1, 4, 4).transpose(2, 3).flip(-1)
        return torch.cat([ramp, -ramp if level == "upper" else other, *[ramp] * 4])


@dataclass(frozen=True)
class Flat:
    """Two flat images per column; degraded and clean are the same."""

    def data_set(self, column: str) -> str:
        return "constructed"

    def names(self) -> Iterator[tuple[str, str]]:
        for column in COLUMNS:
            yield from ((column, "first"), (column, "second"))

    def make(self, column: str, image: str) -> Pair:
        plane = np.full((32, 48, 3), VALUE[column], np.float32)
        return Pair(column, column, image, image, plane, plane)


@pytest.fixture
def test_set(setting: Setting) -> TestSet:
    return plan_of(["promptir"], setting=setting.name).test


def analyse(test: TestSet, explicit: bool = False) -> dict[str, Any]:
    observer = Observer(Constructed(explicit), False, torch.device("cpu"))
    return analyse_prompts(observer, Flat(), test.model_copy(update={"photographs": ()}))


def test_a_constructed_network_is_seen_through(test_set: TestSet) -> None:
    found = analyse(test_set)
    assert found["families"] == ["denoise"] * 3 + ["dehaze", "derain"]
    upper = found["routing"]["upper"]
    assert upper["expert_load"]["denoise25"] == [1, 0, 0, 0, 0, 0]
    assert upper["expert_load"]["derain"] == [0, 1, 0, 0, 0, 0]
    assert upper["image_entropy"] == 0
    three_fifths = -(0.6 * np.log(0.6) + 0.4 * np.log(0.4))
    assert upper["load_entropy"] == pytest.approx(three_fifths / np.log(6), abs=1e-4)
    information = upper["normalised_mutual_information"]
    kinds = three_fifths / -(0.6 * np.log(0.6) + 0.4 * np.log(0.2))
    assert information["families"] == pytest.approx(kinds, abs=1e-4)
    assert information["tasks"] == pytest.approx(three_fifths / np.log(5), abs=1e-4)
    # Right 40 dB, wrong 20 dB; haze and rain share an expert, so are half right for each other.
    matrix = np.array(found["prompt_swap"]["psnr_db"])
    np.testing.assert_allclose(matrix[0], [40, 40, 40, 20, 20], atol=0.01)
    np.testing.assert_allclose(matrix[3], [20, 20, 20, 40, 40], atol=0.01)
    assert found["prompt_swap"]["gap_db"] == pytest.approx([20, 20, 20, 15, 15], abs=0.01)
    assert list(found["prompt_swap"]["unselected"]) == ["2", "3", "4", "5"]
    assert found["prompt_swap"]["unselected"]["2"] == pytest.approx(
        [13.98, 10.46, 7.96, 4.44, 1.94], abs=0.01
    )
    cosine = found["redundancy"]["upper"]
    assert cosine["cosine"][0][3] == pytest.approx(-1)
    assert cosine["cka"][0][3] == pytest.approx(1), "alike but for the sign"
    assert found["redundancy"]["lower"]["cka"][0][3] == pytest.approx(0, abs=1e-6)
    assert found["explicit"] is None
    assert found["out_of_distribution"] == [], "no photographs to degrade"


def test_decisions_of_a_classifier_are_counted_and_their_effect_measured(test_set: TestSet) -> None:
    found = analyse(test_set, explicit=True)["explicit"]
    # Prompt 0 is sigma 15's and prompt 1 sigma 25's: right for the first alone.
    assert found["confusion"]["denoise15"] == [2, 0, 0, 0, 0]
    assert found["confusion"]["derain"] == [0, 2, 0, 0, 0]
    values = found["psnr_db"]["denoise15"]
    assert (values["wrong"], values["wrong_with_true_task"]) == (None, None)
    assert values["right"] == pytest.approx(40, abs=0.01)
    predicted = found["psnr_db"]["denoise25"]
    assert predicted["right"] is None
    assert (predicted["wrong"], predicted["wrong_with_true_task"]) == pytest.approx(
        (40, 20), abs=0.01
    )


def test_what_training_never_showed(test_set: TestSet) -> None:
    tasks = list(ood_tasks(test_set.tasks))
    mixed = [task for kind, task in tasks if kind == "mixed"]
    assert [task.name for task in mixed] == [
        "dehaze+denoise15",
        "derain+denoise15",
        "derain+dehaze",
    ]
    untrained = [task for kind, task in tasks if kind == "untrained"]
    names = {task.name for task in untrained}
    assert {"denoise10", "denoise35", "denoise75"} <= names
    kinds = [task.degradation.kind for task in untrained if not task.name.startswith("denoise")]
    assert len(kinds) == len(set(kinds))
    assert {"snow", "jpeg", "low-light"} <= set(kinds)
    assert not {"rain", "haze", "noise"} & set(kinds)


def test_a_summary_has_load_and_gap_of_every_task(test_set: TestSet) -> None:
    observer = Observer(Constructed(), False, torch.device("cpu"))
    found = summarise_prompts(observer, photograph_pairs(test_set), test_set)
    assert found.tasks == COLUMNS
    assert set(found.as_json()) == {
        *("tasks", "expert_load", "psnr_db", "prompt_swap_gap_db", "collapsed"),
    }
    for level in Constructed.levels:
        assert set(found.expert_load[level]) == set(COLUMNS)
        assert all(sum(load) == pytest.approx(1) for load in found.expert_load[level].values())
    families = [task.family for task in test_set.tasks]
    gap = prompt_swap_gap_db(found.psnr_db, families)
    assert found.prompt_swap_gap_db == pytest.approx(gap)


def test_degradations_out_of_distribution_are_routed(test_set: TestSet) -> None:
    observer = Observer(Constructed(), False, torch.device("cpu"))
    found = analyse_prompts(observer, Flat(), test_set)["out_of_distribution"]
    assert [entry["name"] for entry in found] == [
        task.name for _, task in ood_tasks(test_set.tasks)
    ]
    assert {entry["kind"] for entry in found} == {"mixed", "untrained"}
    for entry in found:
        assert sum(entry["expert_load"]["upper"]) == pytest.approx(1)


# --- report and command ----------------------------------------------------------------


def test_reports_show_what_was_found(test_set: TestSet, tmp_path: Path) -> None:

    runs = [
        AnalysedRun("constructed seed 0", analyse(test_set)),
        AnalysedRun("explicit seed 0", analyse(test_set, explicit=True)),
    ]
    text = report_of(runs)
    assert "+18.00 dB" in text
    assert "+15.00" in text
    written = markdown_of(runs)
    for part in ("Prompt swaps", "Routing at upper", "Redundancy", "Decisions of the classifier"):
        assert part in written
    assert "prompt 2" in written
    typeset = latex_of(runs)
    assert typeset.count(r"\begin{table") == typeset.count(r"\end{table") == 3
    paths = draw_prompts(runs[0].label, runs[0].analysis, tmp_path / "a")
    assert {path.name for path in paths} == {"a.png", "a.pdf"}
    assert all(path.stat().st_size > 5000 for path in paths)


def test_run_probes_once_and_keeps_what_it_found(
    tmp_path: Path, setting: Setting, harness_command: Run
) -> None:
    out = tmp_path / "out"
    command = (
        *("run", "--recipe", "smoke", "--out", str(out), "--setting", setting.name),
        *("--methods", "promptir"),
    )
    plain = harness_command(*command)
    assert plain.returncode == 0, plain.stderr
    assert not list(out.glob("*/prompt_analysis.json"))
    done = harness_command(*command, "--probes")
    assert done.returncode == 0, done.stderr
    assert "trained" not in done.stderr, "only what is missing is computed"
    assert "NMI (kinds)" in done.stdout
    (path,) = out.glob("promptir-*/prompt_analysis.json")
    (found,) = json.loads(path.read_text()).values()
    assert {e["kind"] for e in found["out_of_distribution"]} == {"mixed", "untrained"}
    (of_input,) = out.glob("degraded-input-*/prompt_analysis.json")
    assert list(json.loads(of_input.read_text()).values()) == [{}], (
        "a method without prompts has an empty analysis"
    )
    assert sorted(p.suffix for p in out.glob("tables/*probes*")) == [".md", ".pdf", ".png", ".tex"]
    before = path.stat().st_mtime_ns
    again = harness_command(*command, "--probes")
    assert again.stdout == done.stdout
    assert path.stat().st_mtime_ns == before


def test_fewer_images_never_replace_the_summary_of_more(tmp_path: Path) -> None:
    """A run has one summary of its prompts, whatever is scored of it."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(QUICK_RECIPE.replace("images: 1", "images: 2"))

    def prompts(limit: int | None) -> dict[str, Any]:
        plan = plan_of(["promptir"], tmp_path / "out", recipe=str(recipe), limit=limit)
        run = plan.runs[-1]
        path = run.folder.prompt_summary
        assert not execute(run, plan, Worker("cpu", 1)).error
        found: dict[str, Any] = read_json_object(path)["prompts"]
        run.folder.results.unlink()
        return found

    first, both = prompts(1), prompts(None)
    assert (first["photographs"], both["photographs"]) == (1, 2)
    assert first["psnr_db"] != both["psnr_db"]
    assert prompts(1) == both
    assert prompts(2) == both
    # Summaries of older versions do not say how many images they are of.
    (path,) = (tmp_path / "out").glob("promptir-*/prompt_summary.json")
    content = read_json_object(path)
    known = content["prompts"].pop("photographs")
    write_json(path, content)
    assert prompts(1) == content["prompts"]
    assert prompts(None)["photographs"] == known
