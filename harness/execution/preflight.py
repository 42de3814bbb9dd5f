"""What is checked before anything is computed."""

from __future__ import annotations

from harness.evaluation.metrics import (
    check_metric_weights,
    resolve_metrics,
    resolve_set_metrics,
)
from harness.evaluation.set_scores import check_size
from harness.planning.plan import Plan
from harness.store.files import check_writable


def check_plan(plan: Plan) -> None:
    """Refuse an output folder that cannot be written, and metrics that cannot be computed.

    Raises:
        HarnessError: names the folder or the metric, and the way out.
    """
    check_writable(plan.out)
    for part in plan.by_protocol:
        check_metric_weights(part.metrics)
        resolve_metrics(part.metrics)
        for metric in resolve_set_metrics(part.metrics):
            for column, images in part.test.images_by_column().items():
                check_size(metric, len(images), f"column {column}")
