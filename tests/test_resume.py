"""Every method that is trained goes on, after an interruption, to the same weights bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.errors import Interrupted
from harness.planning.plan import Plan
from tests.networks import TRAINED
from tests.plans import plan_of
from tests.trainings import assert_same, stop_after, train_required, trained

RECIPE = """
base: smoke
train: {steps: 3, batch: 2, warmup_steps: 1, decay_steps: 3, validate_every_steps: 3}
auxiliary: {steps: 2, decay_steps: 2, warmup_steps: 1}
test: {images: 1, draws: 1, centre_px: 64}
runtime: {checkpoint_every_steps: 3}
"""
METHODS = [spec.name for spec in TRAINED if spec.role != "auxiliary"]
SUMS = ["restormer+sipl", "adair+sipl", "restormer+cpl", "restormer+cpl-guided"]
PRETRAINED = ["mirage@dcpt", "dfpir@dcpt", "cpl@dcpt"]
# Contrastive losses need another task in the batch, and compare each sample with the others.
BATCHES = {"airnet": 5, "cpr": 5}


def three_steps(folder: Path, method: str) -> Plan:
    folder.mkdir()
    recipe = folder / "three.yaml"
    batch = BATCHES.get(method, 2)
    recipe.write_text(RECIPE.replace("batch: 2", f"batch: {batch}"))
    return plan_of([method], folder, recipe=str(recipe))


@pytest.mark.parametrize("method", [*METHODS, *SUMS, *PRETRAINED])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, method: str) -> None:
    plan = three_steps(tmp_path / "whole", method)
    train_required(plan)
    whole = trained(plan)
    plan.runs[-1].folder.weights.unlink()
    for steps in (1, 1):
        with pytest.raises(Interrupted):
            trained(plan, stop=stop_after(steps))
    assert plan.runs[-1].folder.checkpoint.exists()
    assert_same(trained(plan), whole)
