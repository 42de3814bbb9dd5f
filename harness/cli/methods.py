"""``harness methods``: what can be run."""

from __future__ import annotations

import importlib.util
from typing import Annotated

import typer

from harness.cli.run import Plugins


def methods(
    name: Annotated[str | None, typer.Argument(help="Show the options of one method.")] = None,
    plugin: Plugins = None,
) -> None:
    """List the methods, or the options of one with their defaults.

    Parameters and multiply-accumulates (of one image of 256x256) are those of full size.
    """
    from tabulate import tabulate

    from harness.registry import catalogue, find, options_as_json, parse_options, use_plugins
    from harness.reporting.options import option_table

    use_plugins(plugin or [])
    known = catalogue()
    if name is None:
        cards = [card for card in known.specs.values() if card.role != "auxiliary"]
        lines = [
            [
                c.name,
                c.prompting,
                c.objective,
                f"{c.parameters / 1e6:.2f} M" if c.parameters else "-",
                f"{c.macs / 1e9:.1f} G" if c.macs else "-",
                "yes" if c.insertion_points else "-",
                c.licence or "-",
                c.source,
            ]
            for c in cards
        ]
        heads = [
            *("method", "prompts", "objective", "parameters", "macs", "+cpl", "licence"),
            "follows",
        ]
        widths = [None, 20, 20, None, None, None, 18, 40]
        print(tabulate(lines, headers=heads, maxcolwidths=widths, disable_numparse=True))
        print("name+cpl (or +spm, +cpr, …) plugs prompts in; name@sequential learns task by task")
        for other, target in known.aliases.items():
            print(f"{other} is {target}")
        for card in cards:
            if card.needs_package and importlib.util.find_spec(card.needs_package) is None:
                print(f"{card.name} needs a package that is not installed: {card.install}")
        for broken, reason in known.broken.items():
            print(f"{broken} cannot be used: {reason}")
        return
    card = find(name).card
    print(f"{card.name}: {card.summary}\nfollows {card.source}" if card.source else card.summary)
    from shutil import get_terminal_size

    defaults = options_as_json(parse_options(card, card.defaults))
    lines = option_table(card.options, defaults)
    taken = sum(max(len(line[place]) for line in lines) for place in (0, 1)) + 4
    heads = ["option", "default", "what it is [what it may be]"]
    width = max(40, get_terminal_size().columns - taken)
    print(tabulate(lines, heads, maxcolwidths=[None, None, width], disable_numparse=True))
    print(f"set with {name}:OPTION=VALUE; defaults are those of full size")
