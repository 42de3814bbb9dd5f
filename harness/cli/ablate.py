"""``harness ablate``: what each part of a method is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.choices import DataRoot, Real, TrainSets, disk_from
from harness.cli.run import (
    DEFAULT_OUT,
    Export,
    From,
    Metrics,
    Out,
    Plugins,
    Seeds,
    SettingName,
    compute,
    give,
    plan_from,
    stop_if_failed,
    take,
)


def ablate(
    study: Annotated[
        list[str] | None,
        typer.Option(
            help="topk, negatives, components, backbones, router, cpr-form, or a YAML file of "
            "your own; repeatable. Without it: topk and negatives."
        ),
    ] = None,
    setting: SettingName = "three-task",
    recipe: Annotated[
        str, typer.Option(help="ablation, mini, smoke, paper, or a YAML file of your own.")
    ] = "ablation",
    seeds: Seeds = "0",
    metrics: Metrics = "",
    out: Out = DEFAULT_OUT,
    jobs: Annotated[int, typer.Option(min=0, help="Cells side by side; 0: one per core.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Loader processes per run.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    spread: Annotated[
        Literal["images", "seeds", "both"] | None,
        typer.Option(help="What intervals show; by default both, and images of a single seed."),
    ] = None,
    plugin: Plugins = None,
    data_root: DataRoot = None,
    real: Real = False,
    train_set: TrainSets = None,
    source: From = None,
    export: Export = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
) -> None:
    """Change one thing at a time, and print what it is worth, with its interval.

    Cells that studies share, or that ``run`` has computed, are computed once.
    """
    import json
    from dataclasses import asdict

    from harness.config.errors import UsageError
    from harness.execution.process import cores
    from harness.planning.studies import load_study, methods_of
    from harness.registry import use_plugins
    from harness.reporting.ablation import terminal
    from harness.reporting.ablation_results import axis_tables, write_ablation_files

    use_plugins(plugin or [])
    names = list(dict.fromkeys(study or ["topk", "negatives"]))
    studies = [load_study(name, setting, recipe) for name in names]
    disk = disk_from(data_root, real, train_set or ())
    plan = plan_from(methods_of(studies), setting, recipe, seeds, metrics, out, disk)
    if spread in ("seeds", "both") and len(plan.seeds) < 2:
        raise UsageError(f"--spread {spread} needs several seeds; give --seeds 0,1,2")
    take(plan, source)
    ended = compute(plan, out, jobs or cores(), workers, device, dry_run)
    if ended is None:
        return
    failed = {result.label: result.error for result in ended if result.error}
    asked = "seeds and images" if spread == "both" else spread
    tables = [table for one in studies for table in axis_tables(one, plan, failed, asked)]
    paths: list[Path] = []
    for table in tables:
        paths += write_ablation_files(table, plan.recipe.name, out / "tables")
    if as_json:
        print(json.dumps([{**asdict(t), "caption": t.caption} for t in tables], indent=2))
    else:
        print("\n\n".join(terminal(table) for table in tables))
        print("\nwritten: " + ", ".join(str(path) for path in paths))
    give(plan, export)
    stop_if_failed(plan, ended)
