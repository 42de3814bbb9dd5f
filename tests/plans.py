"""Plans for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest


def plan_of(methods: Sequence[str], out: Path = Path("unused"), **fields: Any) -> Plan:
    """Return the plan of ``methods`` with the recipe smoke unless another is named."""
    values = {"recipe": "smoke", "methods": tuple(methods), "out": out, **fields}
    return make_plan(RunRequest.model_validate(values))
