"""``harness methods``: what can be run."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import Plugins
from harness.config.errors import UsageError

if TYPE_CHECKING:
    from harness.api import MethodSpec, OptionGroup

# Heads of the columns and the widths in which their texts are folded. A terminal that is narrower
# than the whole table gets the first columns alone, in less space.
_COLUMNS = {
    "method": None,
    "prompts": 20,
    "objective": 20,
    "parameters": None,
    "macs": None,
    "takes": None,
    "licence": 18,
    "follows": 40,
}
_NARROW_COLUMNS = {
    "method": None,
    "prompts": 16,
    "objective": 15,
    "params": None,
    "macs": None,
    "takes": None,
}


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
    from harness.api import catalogue

    known = catalogue()
    specs = [spec for spec in known.specs.values() if spec.role != "auxiliary"]
    lines = [_line(spec) for spec in specs]
    listing = _table(lines, _COLUMNS)
    if max(map(len, listing.splitlines())) > _terminal_columns():
        listing = _table([line[: len(_NARROW_COLUMNS)] for line in lines], _NARROW_COLUMNS)
        listing += "\nmethods NAME says what a method follows, under which licence, and its options"
    print(listing)
    print("name+cpl (or +spm, +cpr, +cpl-guided, …) adds prompts")
    print("name+sipl adds guidance by its own restoration; name@dcpt pre-trains by classification")
    print("name@sequential learns task by task")
    for other, target in known.aliases.items():
        print(f"{other} is {target}")
    for spec in specs:
        if spec.needs_package and importlib.util.find_spec(spec.needs_package) is None:
            print(f"{spec.name} needs a package that is not installed: {spec.install}")
    for broken, reason in known.broken.items():
        print(f"{broken} cannot be used: {reason}")


def _terminal_columns() -> float:
    """Return the width of the terminal; what is written to a file or pipe is as wide as it is."""
    asked = "COLUMNS" in os.environ or sys.stdout.isatty()
    return get_terminal_size().columns if asked else float("inf")


def _table(lines: list[list[str]], columns: Mapping[str, int | None]) -> str:
    from tabulate import tabulate

    widths = list(columns.values())
    return tabulate(lines, headers=list(columns), maxcolwidths=widths, disable_numparse=True)


def _line(spec: MethodSpec) -> list[str]:
    return [
        spec.name,
        spec.prompting,
        spec.objective,
        f"{spec.parameters / 1e6:.2f} M" if spec.parameters else "-",
        f"{spec.macs / 1e9:.1f} G" if spec.macs else "-",
        "\n".join(_taken(spec)) or "-",
        spec.licence or "-",
        spec.source,
    ]


def _taken(spec: MethodSpec) -> list[str]:
    """Return what can be added to a method, or precede its training, as a reference writes it."""
    able = {
        "+cpl": bool(spec.insertion_points),
        "+sipl": bool(spec.fusion_points),
        "@dcpt": spec.has_decoder_levels,
    }
    return [name for name, is_able in able.items() if is_able]


def _facts(spec: MethodSpec) -> list[str]:
    """Return what is known of a method beside its options, a sentence per line."""
    facts = [f"{spec.name}: {spec.summary}"]
    if spec.source:
        facts.append(f"follows {spec.source}")
    if spec.licence:
        facts.append(f"licence of the published code: {spec.licence}")
    if spec.parameters and spec.macs:
        size = f"{spec.parameters / 1e6:.2f} M parameters"
        work = f"{spec.macs / 1e9:.1f} G multiply-accumulates for an image of 256x256"
        facts.append(f"at full size {size}, {work}")
    facts.append(f"trained with {spec.objective}" if spec.trained else "it is not trained")
    if spec.needs_task_labels:
        facts.append("it is given the true degradation at test too, so it is never ranked")
    if _taken(spec):
        facts.append(f"takes {', '.join(_taken(spec))}")
    return facts


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

    method = find(name)
    spec = method.spec
    if method.overrides:
        raise UsageError(f"methods {name}: it shows a method's defaults; name {spec.name} alone")
    for fact in _facts(spec):
        print(fill(fact, max(40, get_terminal_size().columns), subsequent_indent="  "))
    groups = [group for group in option_groups(spec) if group.lines]
    if not groups:
        print("it has no options")
        return
    for group in groups:
        _print_group(group)
    print(f"set with {name}:OPTION=VALUE; defaults are those of full size")
