"""``harness table``: print and write the table of what is stored, computing nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.choices import (
    CropMultiple,
    DataRoot,
    NoiseStream,
    ProtocolName,
    Real,
    Rounding,
    TestSetName,
    TrainSets,
    changes_from,
    disk_from,
)
from harness.cli.run import (
    DEFAULT_OUT,
    Methods,
    Metrics,
    Out,
    Plugins,
    RecipeName,
    Seeds,
    SettingName,
    method_names,
    plan_from,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.planning.plan import Plan
    from harness.reporting.summary import Table


def table(
    methods: Methods = "cpl,promptir",
    setting: SettingName = "three-task",
    recipe: RecipeName = "mini",
    seeds: Seeds = "0",
    metrics: Metrics = "",
    out: Out = DEFAULT_OUT,
    plugin: Plugins = None,
    data_root: DataRoot = None,
    real: Real = False,
    train_set: TrainSets = None,
    protocol: ProtocolName = None,
    crop_multiple: CropMultiple = None,
    noise_rounding: Rounding = None,
    noise_stream: NoiseStream = "keyed",
    test_set: TestSetName = None,
    style: Annotated[
        Literal["rows", "paper"],
        typer.Option(help="rows: what is stored; paper: as the literature lays it out, with it."),
    ] = "rows",
    source: Annotated[
        str | None, typer.Option(help="With --style paper: whose table, as cpl or mioir.")
    ] = None,
) -> None:
    """Print the table from stored rows; what was not computed is shown as missing."""
    from harness.config.errors import HarnessError, UsageError
    from harness.execution.status import stored_rows
    from harness.registry import use_plugins

    use_plugins(plugin or [])
    disk = disk_from(data_root, real, train_set or ())
    changes = changes_from(noise_rounding, crop_multiple, protocol, noise_stream, test_set)

    def plan_of_flags() -> Plan:
        names = method_names(methods)
        return plan_from(names, setting, recipe, seeds, metrics, out, disk, changes)

    if style == "paper":
        if test_set is not None:
            raise UsageError("no paper's table is of a --test-set; leave one of them out")
        _paper(plan_of_flags, setting, recipe, out, source)
        return
    if source is not None:
        raise UsageError(f"--source {source} chooses a published table; add --style paper")
    plan = plan_of_flags()
    if not any(stored_rows(run) for run in plan.runs):
        raise HarnessError(
            f"{out} holds no scores of these methods on {setting} with recipe {recipe}; compute "
            f"them with: python -m harness run --methods '{methods}'"
        )
    show(plan, out)


def _paper(
    plan_of_flags: Callable[[], Plan], setting: str, recipe: str, out: Path, source: str | None
) -> None:
    from harness.config.files import setting_names
    from harness.published.tables import load_published, tables_of
    from harness.reporting.paper import paper_table
    from harness.reporting.paper_text import terminal
    from harness.reporting.plan_tables import write_paper_files

    # Several sources print tables of one setting; the first is the one that a paper shows.
    cited = tables_of(load_published(), setting, source)[0]
    measured = reevaluated = None
    # What is cited can be shown of a setting that this installation cannot measure.
    if setting in setting_names():
        plan = plan_of_flags()
        measured, reevaluated = _own(plan)
    table = paper_table(cited, measured, reevaluated)
    print(terminal(table, colour=sys.stdout.isatty()))
    paths = write_paper_files(table, recipe, out / "tables")
    print("\nwritten: " + ", ".join(str(path) for path in paths))


def _own(plan: Plan) -> tuple[Table | None, Table | None]:
    from harness.execution.status import stored_rows
    from harness.reporting.plan_tables import reevaluated_table, table_of

    stored = any(stored_rows(run) for run in plan.runs)
    return (table_of(plan) if stored else None), reevaluated_table(plan)
