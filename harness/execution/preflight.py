"""What is checked before anything is computed."""

from __future__ import annotations

from harness.evaluation.metrics import resolve_metrics
from harness.planning.plan import Plan
from harness.store.files import check_writable


def check_plan(plan: Plan) -> None:
    """Refuse an output folder that cannot be written, and metrics that cannot be computed.

    Raises:
        HarnessError: names the folder or the metric, and the way out.
    """
    check_writable(plan.out)
    for part in plan.by_protocol:
        resolve_metrics(part.metrics)
