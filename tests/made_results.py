"""Results that nobody measured, as a run would have stored them."""

from __future__ import annotations

from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.store.results import Result

Of = tuple[str, str, str]
"""Column, image and metric."""


def result_of(plan: Plan, run: Run, of: Of, value: float, data_set: str = "synthetic") -> Result:
    """Return a result of a run of ``plan``."""
    column, image, metric = of
    return Result(
        weights=run.weights_id,
        score=run.score_id or "",
        method=run.method.id,
        seed=run.train.seed,
        setting=plan.setting.name,
        data_set=data_set,
        column=column,
        image=image,
        metric=metric,
        preprocessing=plan.setting.preprocessing.id,
        protocol=plan.setting.protocol.id,
        value=value,
    )
