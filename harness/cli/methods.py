"""``harness methods``: what can be run."""

from __future__ import annotations

import importlib.util
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Plugins

if TYPE_CHECKING:
    from harness.api import MethodSpec, OptionGroup

_HEADS = ("method", "prompts", "objective", "parameters", "macs", "+cpl", "licence", "follows")
_WIDTHS = (None, 20, 20, None, None, None, 18, 40)


def methods(
    name: Annotated[str | None, typer.Argument(help="Show the options of one method.")] = None,
    plugin: Plugins = None,
) -> None:
    """List the methods, or the options of one with their defaults.

    Parameters and multiply-accumulates (of one image of 256x256) are those of full size.
    """
    from harness.api import use_plugins

    use_plugins(plugin or [])
    if name is None:
        _list_all()
    else:
        _show_one(name)


def _list_all() -> None:
    from tabulate import tabulate

    from harness.api import catalogue

    known = catalogue()
    specs = [spec for spec in known.specs.values() if spec.role != "auxiliary"]
    lines = [_line(spec) for spec in specs]
    print(tabulate(lines, headers=_HEADS, maxcolwidths=list(_WIDTHS), disable_numparse=True))
    print(
        "name+cpl (or +spm, +cpr, +cpl-guided, …) adds prompts; name@sequential learns task by task"
    )
    print("name+sipl adds guidance by its own restoration; name@dcpt pre-trains by classification")
    for other, target in known.aliases.items():
        print(f"{other} is {target}")
    for spec in specs:
        if spec.needs_package and importlib.util.find_spec(spec.needs_package) is None:
            print(f"{spec.name} needs a package that is not installed: {spec.install}")
    for broken, reason in known.broken.items():
        print(f"{broken} cannot be used: {reason}")


def _line(spec: MethodSpec) -> list[str]:
    return [
        spec.name,
        spec.prompting,
        spec.objective,
        f"{spec.parameters / 1e6:.2f} M" if spec.parameters else "-",
        f"{spec.macs / 1e9:.1f} G" if spec.macs else "-",
        "yes" if spec.insertion_points else "-",
        spec.licence or "-",
        spec.source,
    ]


def _print_group(group: OptionGroup) -> None:
    from tabulate import tabulate

    taken = 4
    for column in (0, 1):
        taken += max(len(line[column]) for line in (group.heads, *group.lines))
    width = max(40, get_terminal_size().columns - taken)
    if group.title:
        print(f"\n{group.title}")
    widths = [None, None, width]
    print(tabulate(group.lines, group.heads, maxcolwidths=widths, disable_numparse=True))


def _show_one(name: str) -> None:
    from harness.api import find, option_groups

    spec = find(name).spec
    print(f"{spec.name}: {spec.summary}")
    if spec.source:
        print(f"follows {spec.source}")
    groups = [group for group in option_groups(spec) if group.lines]
    if not groups:
        print("it has no options")
        return
    for group in groups:
        _print_group(group)
    print(f"set with {name}:OPTION=VALUE; defaults are those of full size")
