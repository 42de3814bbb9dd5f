"""``harness ablate``: what each part of a method is worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.computing import compute_missing, export_results, import_results
from harness.cli.keeping_flags import ArchiveFlags, ComputingFlags
from harness.cli.latex_flags import LatexFlags, latex_name
from harness.cli.options import DataFlags, ResourceFlags, SettingFlags
from harness.cli.output import print_warnings, print_written, terminal_width
from harness.cli.requests import plan_of, request_of
from harness.config.ranks import check_alone

if TYPE_CHECKING:
    from harness.api import LatexStyle, Plan, Study


@dataclass(frozen=True)
class StudyFlags(LatexFlags):
    """Which studies are computed, and how they are shown."""

    study: Annotated[
        list[str] | None,
        typer.Option(
            help="topk, negatives, components, backbones, router, cpr-form, or a YAML file of "
            "your own; repeatable. Without it: topk and negatives."
        ),
    ] = None
    base: Annotated[
        str | None,
        typer.Option(
            help="Method, with options after colons, that values differ from, in place of the "
            "studies' own: cpl-guided."
        ),
    ] = None
    spread: Annotated[
        Literal["images", "seeds", "both"] | None,
        typer.Option(help="What intervals show; by default both, and images of a single seed."),
    ] = None
    style: Annotated[
        str | None,
        typer.Option(help="plain, ieee or cvpr: a second LaTeX file of each table."),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False

    @property
    def shown_spread(self) -> Literal["images", "seeds", "seeds and images"] | None:
        """What intervals are over; None for all that the seeds let them show."""
        return "seeds and images" if self.spread == "both" else self.spread


def ablate(
    studies: StudyFlags,
    request: SettingFlags,
    data: DataFlags,
    resources: ResourceFlags,
    computing: ComputingFlags,
    archive: ArchiveFlags,
) -> None:
    """Change one thing at a time, and print what it is worth, with its interval.

    The recipe is ablation if none is named, and runs are computed side by side, one per core. Runs
    that studies share, or that ``run`` has computed, are computed once.
    """
    from harness.api import (
        check_study_names,
        describe,
        load_studies,
        methods_of,
        raise_if_failed,
    )
    from harness.config.errors import UsageError

    check_alone("ablate")
    archive.check(computing.dry_run)
    asked = request_of(
        {"recipe": "ablation"},
        request.config,
        request.values(),
        data.values(),
        computing.values(),
    )
    chosen = load_studies(studies.study or ["topk", "negatives"], asked, studies.base)
    plan = plan_of(asked.model_copy(update={"methods": tuple(methods_of(chosen))}))
    if studies.spread in ("seeds", "both") and len(plan.seeds) < 2:
        raise UsageError(f"--spread {studies.spread} needs several seeds; give --seeds 0,1,2")
    check_study_names(chosen, plan, studies.shown_spread)
    style = studies.latex(latex_name(studies.style))
    asked_resources = resources.resources(jobs=0)
    if computing.dry_run:
        print(describe(plan))
        return
    import_results(plan, archive.import_)
    outcomes = compute_missing(plan, asked_resources)
    failed = {outcome.label: outcome.error for outcome in outcomes if outcome.error}
    if not failed:
        export_results(plan, archive.export)
    _show(studies, chosen, style, plan, failed)
    raise_if_failed(outcomes, len(plan.runs))


def _show(
    flags: StudyFlags,
    chosen: list[Study],
    style: LatexStyle | None,
    plan: Plan,
    failed: dict[str, str],
) -> None:
    import json

    from harness.api import ablation_tables

    tables = []
    paths: list[Path] = []
    for study in chosen:
        tables += ablation_tables(study, plan, failed, flags.shown_spread)
    warnings: list[str] = []
    for table in tables:
        paths += table.write(plan.out / "tables", style)
        warnings += table.warnings
    print_warnings(warnings)
    if flags.as_json:
        print(json.dumps([table.as_json() for table in tables], indent=2))
        return
    width = terminal_width()
    print("\n\n".join(table.to_text(width=width) for table in tables))
    print_written(paths)
