"""What docs/evidence.md says of runs on real images is what the stored rows give today."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import yaml

import harness
from harness.api import import_runs
from harness.planning.plan import Plan
from harness.published.tables import AVERAGE

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared/data"
ARCHIVE = ROOT / "results/reference/clean-images"
EVIDENCE = (ROOT / "docs/evidence.md").read_text(encoding="utf-8").replace("−", "-")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The stored runs of the request that lies beside them."""
    if not SHARED.is_dir():
        pytest.skip("needs RainTrainL and CBSD68")
    request = yaml.safe_load((ARCHIVE / "request.yaml").read_text(encoding="utf-8"))
    folders = {"train": str(SHARED / "RainTrainL/norain"), "test": str(SHARED / "CBSD68")}
    request["recipe"] = str(ROOT / request["recipe"])
    out = tmp_path_factory.mktemp("evidence")
    made = harness.plan(**request, clean_images=folders, out=out)
    assert import_runs(made, ARCHIVE) == len(made.runs)
    return made


def test_the_intervals_are_those_of_the_stored_rows(plan: Plan) -> None:
    promptir, widened, *others = plan.method_ids[1:]
    assert len(others) == 3
    for pair in product(others, (promptir, widened)):
        found = harness.compare(plan, list(pair))
        of = (AVERAGE, "psnr_rgb")
        test = next(test for test in found.tests if (test.column, test.metric) == of)
        delta = test.delta
        assert delta is not None
        said = f"{delta.mean:+.2f} [{delta.low:+.2f}, {delta.high:+.2f}]"
        assert said in EVIDENCE, f"{pair}: {said}"
