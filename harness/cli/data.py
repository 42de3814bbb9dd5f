"""``harness data``: settings, and whether their data is there."""

from __future__ import annotations

import typer

from harness.cli import sets

app = typer.Typer(
    help="Settings and their photographs; data sets on this machine's disk.",
    invoke_without_command=True,
)
app.command("list")(sets.list_sets)
app.command("show")(sets.show)
app.command("check")(sets.check)
app.command("leaks")(sets.leaks)
app.add_typer(sets.manifest, name="manifest")


@app.callback()
def data(context: typer.Context) -> None:
    """List the settings and the photographs of their twins; below, data sets on disk."""
    if context.invoked_subcommand is None:
        _settings()


def _settings() -> None:
    from tabulate import tabulate

    from harness.config.errors import HarnessError
    from harness.config.files import (
        datasets_folder,
        load_ood_set,
        load_setting,
        ood_set_names,
        setting_names,
    )
    from harness.data.synthetic.photographs import catalogue, load

    cards = datasets_folder()
    problems = []
    for name in setting_names():
        setting = load_setting(name)
        synthetic = setting.synthetic
        lines = []
        for split, photographs in (
            ("train", synthetic.train),
            ("validation", synthetic.validation),
            ("test", synthetic.test),
        ):
            for photograph in photographs:
                entry = catalogue(cards)[photograph]
                try:
                    height, width = load(cards, photograph).shape[:2]
                    state = f"{width}x{height}"
                except HarnessError as error:
                    problems.append(str(error))
                    state = "missing or damaged"
                lines.append([split, photograph, entry.about, entry.distribution, state])
        ready = "ready" if not problems else "not ready"
        print(f"{name} (version {setting.version}): {setting.title}")
        print("columns: " + ", ".join(f"{c.name} ({c.task})" for c in setting.columns))
        print(f"synthetic twin: {ready}; photographs are read from installed packages")
        print(tabulate(lines, headers=["split", "photograph", "what it shows", "from", "size"]))
    print("test sets outside the settings, for --test-set:")
    for name in ood_set_names():
        outside = load_ood_set(name)
        where = "twin and real images" if outside.synthetic else "real images"
        print(f"{name} (version {outside.version}, {where}): {outside.title}")
    if problems:
        raise HarnessError("; ".join(problems))
