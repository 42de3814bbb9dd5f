"""``harness data``: settings and their images, and data sets on this machine's disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.counter import counting
from harness.config.errors import HarnessError, UsageError, printable

MANIFESTS = Path("results/manifests")
_MANY = 10

DataRoot = Annotated[
    Path | None,
    typer.Option(
        help="Folder that holds data sets; else HARNESS_DATA_ROOT or the configuration file."
    ),
]
Names = Annotated[list[str] | None, typer.Argument(help="Data sets; without, all that are there.")]
Name = Annotated[str, typer.Argument(help="A data set; python -m harness data list names all.")]
Shown = Annotated[int, typer.Option("--show", min=1, help="How many problems to name per set.")]

app = typer.Typer(
    help="Settings and their images; data sets on this machine's disk.",
    invoke_without_command=True,
)
manifest = typer.Typer(
    help="SHA-256 of every file of a data set, as sha256sum writes it.", no_args_is_help=True
)
app.add_typer(manifest, name="manifest")


@app.callback()
def data(context: typer.Context) -> None:
    """List the settings and the images of their synthetic versions; below, data sets on disk."""
    if context.invoked_subcommand is None:
        from harness.cli.data_reports import print_settings

        print_settings()


@app.command("list")
def list_data_sets(data_root: DataRoot = None) -> None:
    """List all data sets and where they were found."""
    from harness.api.data_sets import root_hint
    from harness.cli.data_reports import print_data_sets

    print_data_sets(data_root)
    hint = root_hint(data_root)
    if hint is not None:
        print(f"\nto find data sets, {hint}")


@app.command("show")
def show(name: Name, data_root: DataRoot = None) -> None:
    """Show a data set: its documented layouts, its releases, and what is found of it."""
    from harness.api.data_sets import locate_data_set
    from harness.cli.data_reports import described, print_data_set
    from harness.config.files import load_data_set

    print_data_set(load_data_set(name))
    found = locate_data_set(name, data_root)
    print("not found" if found is None else described(found))


@app.command("check")
def check(names: Names = None, data_root: DataRoot = None, show: Shown = _MANY) -> None:
    """Decode every image: missing, damaged, of another size than its partner, wrong counts."""
    from harness.api.data_sets import check_set, locate_data_sets
    from harness.cli.data_reports import print_report

    located = locate_data_sets(names or [], data_root)
    wrong = 0
    for found in located.found:
        with counting(found.spec.name) as on_progress:
            report = check_set(found, on_progress)
        print_report(report, show)
        wrong += bool(report.problems)
    for sentence in located.absent:
        print(sentence)
    parts: list[str] = []
    if wrong:
        parts.append(f"{wrong} of {len(located.found)} checked have problems")
    if located.absent:
        parts.append(f"{len(located.absent)} not found")
    if parts:
        raise HarnessError(f"data sets: {', '.join(parts)}; see above")


@app.command("duplicates")
def duplicates(
    first: Annotated[
        str | None, typer.Argument(help="A data set; python -m harness data list names all.")
    ] = None,
    second: Annotated[str | None, typer.Argument(help="Another one; without, only inside.")] = None,
    setting: Annotated[
        str | None,
        typer.Option(help="All training and test sets of a setting that are there, pair by pair."),
    ] = None,
    data_root: DataRoot = None,
    show: Annotated[int, typer.Option("--show", min=1, help="How many matches to name.")] = 200,
) -> None:
    """Find clean images that show the same scene: between two data sets, and inside each."""
    from harness.api.data_sets import compare_data_sets, data_sets_of, locate_data_sets
    from harness.cli.data_reports import print_duplicates

    if (first is None) == (setting is None):
        raise UsageError("name one or two data sets, or a setting with --setting")
    named = [name for name in (first, second) if name is not None]
    names = data_sets_of(setting) if setting is not None else named
    located = locate_data_sets(names, data_root)
    if setting is None and located.absent:
        raise HarnessError(located.absent[0])
    for sentence in located.absent:
        print(sentence)
    if not located.found:
        raise UsageError(f"none of the data sets of {setting} is there; add --data-root")
    for comparison in compare_data_sets(located.found, counting):
        print_duplicates(comparison, show)


@manifest.command("write")
def write(
    names: Names = None,
    data_root: DataRoot = None,
    out: Annotated[Path, typer.Option(help="Folder that the manifests go to.")] = MANIFESTS,
) -> None:
    """Write the manifests of data sets as they are on this disk."""
    from harness.api.data_sets import locate_data_sets, write_manifest

    located = locate_data_sets(names or [], data_root)
    if located.absent:
        raise HarnessError("; ".join(located.absent))
    for found in located.found:
        with counting(found.spec.name) as on_progress:
            path, count = write_manifest(found, out, on_progress)
        print(printable(f"{found.spec.name}: {count} files in {path}"))


@manifest.command("verify")
def verify(
    names: Names = None,
    data_root: DataRoot = None,
    manifests: Annotated[Path, typer.Option(help="Folder of the manifests.")] = MANIFESTS,
    show: Shown = _MANY,
) -> None:
    """Compare data sets with their manifests; without names, all that have one."""
    from harness.api.data_sets import locate_data_sets, names_with_manifest, verify_manifest
    from harness.cli.data_reports import print_differences

    names = names or names_with_manifest(manifests)
    located = locate_data_sets(names, data_root)
    for sentence in located.absent:
        print(sentence)
    wrong = len(located.absent)
    for found in located.found:
        with counting(found.spec.name) as on_progress:
            differences = verify_manifest(found, manifests, on_progress)
        wrong += bool(differences)
        print_differences(found, differences, show)
    if wrong:
        raise HarnessError(
            f"{wrong} of {len(names)} data sets are not as their manifests say; see above"
        )
