"""What is checked before anything is computed."""

from __future__ import annotations

from harness.config.errors import UsageError
from harness.config.python_files import sha256_at_import
from harness.config.settings import degradation_versions
from harness.evaluation.metrics import (
    check_metric_weights,
    resolve_metrics,
    resolve_set_metrics,
)
from harness.evaluation.set_scores import check_size
from harness.planning.plan import Plan
from harness.planning.run import Run
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


def check_own_code(run: Run, plan: Plan) -> None:
    """Refuse a run whose plug-in or degradations are others in this process than in the plan.

    A process that was started for the run imports the files after the plan was made.

    Raises:
        UsageError: a file has changed in between.
    """
    plugin = run.method.plugin_file
    if plugin is not None and sha256_at_import(plugin) != run.train.plugin_sha256:
        raise UsageError(f"{plugin} changed since the plan was made; run the same command again")
    here = degradation_versions(plan.setting.tasks)
    for kind, version in plan.test.degradation_versions.items():
        if here.get(kind, version) != version:
            raise UsageError(
                f"the file of the degradation '{kind}' changed since the plan was made; run the "
                "same command again"
            )
