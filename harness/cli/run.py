"""``harness run``: train what is missing, score it, print the table."""

from __future__ import annotations

from harness.cli.computing import compute_and_show
from harness.cli.keeping_flags import ArchiveFlags, ComputingFlags
from harness.cli.options import DataFlags, EvaluationFlags, RequestFlags, ResourceFlags
from harness.cli.requests import plan_of, request_of


def run(
    request: RequestFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    resources: ResourceFlags,
    computing: ComputingFlags,
    archive: ArchiveFlags,
) -> None:
    """Train and score methods on a setting, and print the table.

    What is stored is never computed again; what was cut off goes on where it stopped.
    """
    archive.check(computing.dry_run)
    asked = request_of(
        {},
        request.config,
        request.values(),
        data.values(),
        evaluation.values(),
        computing.values(),
    )
    compute_and_show(plan_of(asked), resources, computing.dry_run, archive)
