"""What docs/evidence.md says of runs on folders of images is what the stored rows give today."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

import harness
from harness.api import import_runs
from harness.planning.plan import Plan
from harness.published.tables import AVERAGE

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared/data"
REFERENCE = ROOT / "results/reference"
EVIDENCE = (ROOT / "docs/evidence.md").read_text(encoding="utf-8").replace("−", "-")
FOLDERS = {"train": str(SHARED / "RainTrainL/norain"), "test": str(SHARED / "CBSD68")}
COLUMNS = ("denoise15", "denoise25", "denoise50", "derain")


def stored(file: str, out: Path, data: dict[str, Any], **request: Any) -> Plan:
    """Return the plan of a request that lies beside an archive, with what the archive holds."""
    if not SHARED.is_dir():
        pytest.skip("needs RainTrainL, CBSD68 and Rain100L")
    path = REFERENCE / file
    asked = yaml.safe_load(path.read_text(encoding="utf-8")) | request
    asked["recipe"] = str(ROOT / asked["recipe"])
    if asked["setting"].endswith(".yaml"):
        asked["setting"] = str(ROOT / asked["setting"])
    asked["data"] = {**asked.get("data", {}), **data}
    labels = asked.pop("labels").items()
    asked["labels"] = {name: label for name, label in labels if name in asked["methods"]}
    made = harness.plan(**asked, out=out)
    assert import_runs(made, path.parent) == len(made.runs)
    return made


def check(plan: Plan, pairs: Iterable[tuple[str, str]], columns: Sequence[str]) -> None:
    """Check that the document has the differences and intervals of the stored rows."""
    for pair in pairs:
        tests = {(t.column, t.metric): t.delta for t in harness.compare(plan, list(pair)).tests}
        for column in columns:
            delta = tests[column, "psnr_rgb"]
            assert delta is not None
            said = f"{delta.mean:+.2f} [{delta.low:+.2f}, {delta.high:+.2f}]"
            assert said in EVIDENCE, f"{pair}, {column}: {said}"


def test_the_intervals_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    plan = stored("clean-images/request.yaml", tmp_path, {"clean_images": FOLDERS})
    promptir, widened, *others = plan.method_ids[1:]
    check(plan, product(others, [promptir, widened]), [AVERAGE])


def test_the_intervals_on_real_rain_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    data = {"root": str(SHARED)}
    plan = stored("real-rain/request.yaml", tmp_path, data, columns=COLUMNS)
    promptir, widened, *others = plan.method_ids[1:]
    check(plan, product(others, [promptir, widened]), [*COLUMNS, AVERAGE])


def test_the_numbers_on_unseen_degradations_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    plan = stored("clean-images/unseen.yaml", tmp_path, {"clean_images": FOLDERS})
    _, promptir, _, *others = plan.method_ids
    check(plan, product(others, [promptir]), [AVERAGE])
    tests = harness.compare(plan, plan.method_ids).tests
    for other in others:
        pairs = [test for test in tests if (test.first, test.second) == (promptir, other)]
        shown = [test for test in pairs if test.metric == "psnr_rgb" and test.column != AVERAGE]
        assert all(test.delta is not None for test in shown)
        row = " | ".join(f"{-test.delta.mean:+.2f}" for test in shown if test.delta is not None)
        assert row in EVIDENCE, row


@pytest.mark.parametrize("recipe", ["curve-600", "curve", "curve-6000"])
def test_the_intervals_of_three_lengths_are_those_of_the_stored_rows(
    recipe: str, tmp_path: Path
) -> None:
    methods = ("promptir:prompt_init=channel-normal", "cpl", "cpl-guided")
    asked = {"recipe": f"examples/recipes/{recipe}.yaml", "methods": methods, "seeds": (0,)}
    data = {"clean_images": FOLDERS}
    plan = stored("clean-images/request.yaml", tmp_path, data, **asked)
    columns = [column.name for column in plan.columns]
    check(plan, product(methods[1:], methods[:1]), [*columns, AVERAGE])


def test_the_intervals_of_other_networks_are_those_of_the_stored_rows(tmp_path: Path) -> None:
    plan = stored("clean-images/plug-ins.yaml", tmp_path, {"clean_images": FOLDERS})
    columns = [*(column.name for column in plan.columns), AVERAGE]
    methods = plan.method_ids[1:]
    for alone, *added in zip(methods[::3], methods[1::3], methods[2::3], strict=True):
        check(plan, product(added, [alone]), columns)


@pytest.mark.parametrize("evaluation", [{}, {"test_set": "ood-kinds"}])
def test_the_means_with_clean_images_are_those_of_the_stored_rows(
    evaluation: dict[str, str], tmp_path: Path
) -> None:
    asked = {"evaluation": evaluation, "limit": 30} if evaluation else {}
    data = {"clean_images": FOLDERS}
    plan = stored("clean-images/with-clean.yaml", tmp_path, data, **asked)
    (test,) = (
        test
        for test in harness.compare(plan, plan.method_ids[1:]).tests
        if (test.column, test.metric) == (AVERAGE, "psnr_rgb")
    )
    for name, mean in zip(("PromptIR", "CPL-guided"), test.means, strict=True):
        (row,) = (line for line in EVIDENCE.splitlines() if f"| {name}, clean images too" in line)
        assert f"{mean:.2f}" in row, name
