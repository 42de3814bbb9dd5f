"""Plans for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest

QUICK_RECIPE = """
base: smoke
train: {steps: 2, warmup_steps: 1, decay_steps: 2, validate_every_steps: 2}
auxiliary: {steps: 2}
test: {images: 1, draws: 1, centre_px: 64}
"""


def plan_of(methods: Sequence[str], out: Path = Path("unused"), **fields: Any) -> Plan:
    """Return the plan of ``methods`` with the recipe smoke unless another is named."""
    values = {"recipe": "smoke", "methods": tuple(methods), "out": out, **fields}
    return make_plan(RunRequest.model_validate(values))


def quick_plan(out: Path, method: str = "promptir") -> Plan:
    """Return the plan of a method that is trained for two steps and scored on one image."""
    out.mkdir(parents=True, exist_ok=True)
    recipe = out / "recipe.yaml"
    recipe.write_text(QUICK_RECIPE)
    return plan_of([method], out, recipe=str(recipe))
