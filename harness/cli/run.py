"""``harness run``: train what is missing, score it, print the table."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    tell_hashing,
    tell_training,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.execution.execute import RunOutcome
    from harness.planning.overrides import EvaluationOverrides
    from harness.planning.plan import Disk, Plan

DEFAULT_OUT = Path("results/runs")

Methods = Annotated[
    str,
    typer.Option(
        help="Methods, comma-separated; options after colons: cpl:cpr_form=ratio:top_k=2 "
        "(a comma inside an option's value is written ';')."
    ),
]
SettingName = Annotated[str, typer.Option("--setting", help="Setting card.")]
RecipeName = Annotated[
    str, typer.Option("--recipe", help="mini, smoke, paper, or a YAML file of your own.")
]
Seeds = Annotated[str, typer.Option(help="Seeds: 0,1,2 or 0-4.")]
Out = Annotated[Path, typer.Option(help="Folder for runs and tables.")]
Plugins = Annotated[
    list[Path] | None, typer.Option(help="Python file with a method of your own; repeatable.")
]
Metrics = Annotated[
    str, typer.Option(help="More metrics, by full name or pyiqa's: lpips,niqe. Comma-separated.")
]
Probes = Annotated[
    bool, typer.Option("--probes", help="Probe prompts at length: routing, redundancy, control.")
]


From = Annotated[
    Path | None,
    typer.Option("--from", help="Folder of exported results: take what it holds as done."),
]
Export = Annotated[
    Path | None,
    typer.Option("--export", help="Write scores and specs to this folder as CSV and JSON."),
]


def run(
    methods: Methods = "cpl,promptir",
    setting: SettingName = "three-task",
    recipe: RecipeName = "mini",
    seeds: Seeds = "0",
    metrics: Metrics = "",
    out: Out = DEFAULT_OUT,
    jobs: Annotated[int, typer.Option(min=1, help="Cells computed side by side.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Loader processes per run.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    plugin: Plugins = None,
    data_root: DataRoot = None,
    real: Real = False,
    train_set: TrainSets = None,
    protocol: ProtocolName = None,
    crop_multiple: CropMultiple = None,
    noise_rounding: Rounding = None,
    noise_stream: NoiseStream = "keyed",
    test_set: TestSetName = None,
    probes: Probes = False,
    source: From = None,
    export: Export = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
) -> None:
    """Train and score methods on a setting, and print the table.

    What is stored is never computed again; what was cut off goes on where it stopped.
    """
    from harness.registry import use_plugins

    use_plugins(plugin or [])
    plan = plan_from(
        method_names(methods),
        setting,
        recipe,
        seeds,
        metrics,
        out,
        disk_from(data_root, real, train_set or ()),
        changes_from(noise_rounding, crop_multiple, protocol, noise_stream, test_set),
    )
    plan = with_probes(plan, probes)
    take(plan, source)
    complete(plan, out, jobs, workers, device, dry_run)
    give(plan, None if dry_run else export)


def with_probes(plan: Plan, probes: bool) -> Plan:
    """Return ``plan`` with full probes asked for or not.

    Raises:
        UsageError: they are asked of a test set outside the setting.
    """
    from dataclasses import replace

    from harness.config.errors import UsageError

    if probes and plan.out_of_distribution:
        raise UsageError(
            "--probes are about the setting's own test set, and show there what unseen "
            "degradations select; leave --test-set out"
        )
    return replace(plan, probes=probes)


def complete(plan: Plan, out: Path, jobs: int, workers: int, device: str, dry_run: bool) -> None:
    """Compute what is missing of ``plan`` and show its table; shared with ``evaluate``.

    Raises:
        HarnessError: a run failed; the others are shown.
        Interrupted: the person stopped it.
    """
    ended = compute(plan, out, jobs, workers, device, dry_run)
    if ended is None:
        return
    show(plan, out)
    stop_if_failed(plan, ended)


def compute(
    plan: Plan, out: Path, jobs: int, workers: int, device: str, dry_run: bool
) -> list[RunOutcome] | None:
    """Compute what is missing of ``plan`` and return how it ended; None of a dry run.

    Raises:
        Interrupted: the person stopped it.
    """
    from harness.config.errors import Interrupted
    from harness.execution.status import status

    if dry_run:
        print(describe(plan))
        return None
    if all(status(run, plan) == "cached" for run in plan.runs):
        return []
    if plan.training:
        tell_training(plan)
    from harness.evaluation.metrics.registry import resolve_metrics
    from harness.execution.execute import Resources, run_plan
    from harness.store.files import check_writable

    check_writable(out)
    resolve_metrics(plan.metrics)
    resources = Resources(jobs=jobs, device=_device(device), loader_workers=workers)
    print(describe(plan), file=sys.stderr)
    results = run_plan(plan, resources)
    if any(result.interrupted for result in results):
        command = shlex.join(["python", "-m", "harness", *sys.argv[1:]])
        raise Interrupted(f"stopped; nothing is lost. Go on with: {command}")
    return results


def stop_if_failed(plan: Plan, ended: Sequence[RunOutcome]) -> None:
    """Raise one error that names all runs that failed, if any did."""
    from harness.config.errors import HarnessError

    failed = [result for result in ended if result.error]
    if failed:
        details = "; ".join(f"{result.label}: {result.error}" for result in failed)
        raise HarnessError(f"{len(failed)} of {len(plan.runs)} runs failed: {details}")


def take(plan: Plan, source: Path | None) -> None:
    """Take what exported results hold of ``plan`` as done, and say how much it is."""
    if source is None:
        return
    from harness.store.archive import take as take_cells

    taken = take_cells(plan, source)
    print(f"{taken} of {len(plan.runs)} runs taken from {source}", file=sys.stderr)


def give(plan: Plan, folder: Path | None) -> None:
    """Write what is stored of ``plan`` to ``folder``, if there is one, and say how much it is."""
    if folder is None:
        return
    from harness.store.archive import export

    print(f"{export(plan, folder)} runs written to {folder}", file=sys.stderr)


def method_names(text: str) -> list[str]:
    """Read ``--methods``."""
    from harness.config.errors import UsageError

    names = [name.strip().replace(";", ",") for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--methods names no method; python -m harness methods lists them")
    return names


def plan_from(
    methods: Sequence[str],
    setting: str,
    recipe: str,
    seeds: str,
    metrics: str,
    out: Path,
    disk: Disk | None = None,
    changes: EvaluationOverrides | None = None,
) -> Plan:
    """Build the plan from flags; shared by ``run``, ``table`` and ``ablate``."""
    from harness.planning.plan import make_plan, parse_seeds

    extra = [name.strip() for name in metrics.split(",") if name.strip()]
    return make_plan(
        methods, setting, recipe, parse_seeds(seeds), extra, out, disk, changes, tell_hashing
    )


def show(plan: Plan, out: Path) -> None:
    """Print table and prompt report, write the files, and say where they are."""
    from harness.reporting.plan_tables import (
        probed,
        probed_fully,
        table_of,
        write_files,
        write_probe_files,
    )
    from harness.reporting.prompts import prompt_report
    from harness.reporting.tables import terminal

    table = table_of(plan)
    print(terminal(table, colour=sys.stdout.isatty()))
    report = "" if plan.out_of_distribution else prompt_report(probed(plan.runs))
    if report:
        print(f"\n{report}")
    paths = write_files(table, out / "tables")
    if plan.probes:
        from harness.reporting.probes import report as probe_report

        runs = probed_fully(plan.runs)
        if runs:
            print(f"\n{probe_report(runs)}")
            paths += write_probe_files(
                runs, f"{plan.setting.name}-{plan.recipe.name}", out / "tables"
            )
        else:
            print("\nno prompts to probe: none of these methods has any")
    print("\nwritten: " + ", ".join(str(path) for path in paths))


def describe(plan: Plan) -> str:
    """Return the plan as text: runs, what is stored of each, and the time to expect."""
    from tabulate import tabulate

    from harness.execution.progress import left
    from harness.execution.status import estimated_s, status

    runs = [*plan.auxiliary, *plan.runs]
    lines = [
        [
            run.method.id,
            run.train.seed,
            status(run, plan),
            left(estimated_s(run, plan)),
            run.folder.path.name,
        ]
        for run in runs
    ]
    images = "real images" if plan.files else "synthetic twin"
    # Cells side by side share the cores that the recipe's step was measured on.
    total = sum(estimated_s(run, plan) for run in runs)
    text = tabulate(lines, headers=["method", "seed", "state", "expected", "run"])
    return (
        f"{text}\nsetting {plan.setting.name} ({images}), recipe {plan.recipe.name}: about "
        f"{left(total)} on {plan.recipe.runtime.expected_on}"
    )


def _device(name: str) -> str:
    from harness.config.errors import UsageError

    if name == "cpu":
        return name
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"--device {name} cannot be used ({reason}); use cpu or auto") from error
    return name
