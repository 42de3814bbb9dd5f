"""``harness run``: train what is missing, score it, print the table."""

from __future__ import annotations

from harness.cli.computing import compute_missing, export_results, import_results, show_table
from harness.cli.options import (
    ArchiveFlags,
    DataFlags,
    DryRun,
    EvaluationFlags,
    RequestFlags,
    ResourceFlags,
)
from harness.cli.requests import plan_of, request_of


def run(
    request: RequestFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    resources: ResourceFlags,
    archive: ArchiveFlags,
    dry_run: DryRun = False,
) -> None:
    """Train and score methods on a setting, and print the table.

    What is stored is never computed again; what was cut off goes on where it stopped.
    """
    from harness.api import check_table, describe, raise_if_failed

    plan = plan_of(
        request_of({}, request.config, request.values(), data.values(), evaluation.values())
    )
    import_results(plan, archive.import_)
    check_table(plan)
    asked_resources = resources.resources()
    if dry_run:
        print(describe(plan))
        return
    outcomes = compute_missing(plan, asked_resources)
    if not any(outcome.error for outcome in outcomes):
        export_results(plan, archive.export)
    show_table(plan)
    raise_if_failed(outcomes, len(plan.runs))
