"""What the subcommands that compute have in common: import, compute, show, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.keeping_flags import ArchiveFlags
from harness.cli.output import has_colours, print_warnings, print_written, terminal_width
from harness.cli.stopping import stopped
from harness.config.errors import printable

if TYPE_CHECKING:
    from harness.api import LatexStyle, Plan, Resources, RunOutcome
    from harness.cli.options import ResourceFlags


def compute_missing(plan: Plan, resources: Resources) -> list[RunOutcome]:
    """Compute what is missing of ``plan``, after printing what that is.

    Raises:
        Interrupted: the user stopped it; the message says how to go on.
    """
    from harness.api import compute, is_complete

    if is_complete(plan):
        return compute(plan, resources)
    from harness.api import describe, legacy_note, training_notes

    for note in (legacy_note(plan.out), *training_notes(plan)):
        if note:
            print(note, file=sys.stderr)
    print(describe(plan), file=sys.stderr)
    outcomes = compute(plan, resources)
    if any(outcome.interrupted for outcome in outcomes):
        raise stopped()
    if any(outcome.queued for outcome in outcomes):
        raise typer.Exit  # the launcher said how to follow them; there is nothing to show yet
    return outcomes


def import_results(plan: Plan, folder: Path | None) -> None:
    """Count what ``folder`` holds of ``plan`` as done, and print how much it is."""
    if folder is None:
        return
    from harness.api import import_runs, is_first_process

    if not is_first_process():
        return
    count = import_runs(plan, folder)
    print(
        printable(f"{count} of {len(plan.all_runs)} runs imported from {folder}"), file=sys.stderr
    )


def export_results(plan: Plan, folder: Path | None) -> None:
    """Write what is stored of ``plan`` to ``folder``, if one was named."""
    if folder is None:
        return
    from harness.api import export_runs

    print(printable(f"{export_runs(plan, folder)} runs exported to {folder}"), file=sys.stderr)


def compute_and_show(
    plan: Plan, resources: ResourceFlags, dry_run: bool, archive: ArchiveFlags | None = None
) -> None:
    """Compute what is missing of a plan and show its table, or with ``dry_run`` the plan alone.

    Args:
        plan: what is computed.
        resources: what the computation may use; checked before anything is written.
        dry_run: whether the plan is shown alone.
        archive: where results are imported from, and exported to if every run succeeded.
    """
    from harness.api import check_table, compute, describe, is_first_process

    check_table(plan)
    asked_resources = resources.resources()
    if dry_run:
        print(describe(plan))
        return
    archive = archive or ArchiveFlags()
    import_results(plan, archive.import_)
    if not is_first_process():
        _raise_if_failed(compute(plan, asked_resources), plan)
        return
    outcomes = compute_missing(plan, asked_resources)
    if not any(outcome.error for outcome in outcomes):
        export_results(plan, archive.export)
    show_table(plan)
    _raise_if_failed(outcomes, plan)


def _raise_if_failed(outcomes: list[RunOutcome], plan: Plan) -> None:
    if outcomes:
        from harness.api import raise_if_failed

        raise_if_failed(outcomes, len(plan.runs))


def show_table(plan: Plan, style: LatexStyle | None = None) -> None:
    """Write the files of the table and of the probes, then print them with the prompt report.

    With ``style`` a second LaTeX file is written in it.
    """
    from harness.api import probe_report, prompt_report, table

    found = list(map(table, plan.by_protocol))
    folder, width = plan.out / "tables", terminal_width()
    paths: list[Path] = []
    texts = []
    for one in found:
        paths += one.write(folder, style)
        texts.append(one.to_text(has_colours(), width))
    texts.append(prompt_report(plan, width))
    if plan.probes:
        text, more = probe_report(plan, folder, width)
        paths += more
        texts.append(text)
    for one in found:
        print_warnings(one.warnings)
    print("\n\n".join(filter(None, texts)))
    print_written(paths)
