"""``harness methods``: what can be run."""

from __future__ import annotations

import importlib.util
from typing import Annotated

import typer


def methods(
    name: Annotated[str | None, typer.Argument(help="Show the options of one method.")] = None,
) -> None:
    """List the methods, or the options of one with their defaults."""
    from tabulate import tabulate

    from harness.registry import catalogue, find, options_as_json, parse_options

    known = catalogue()
    if name is None:
        cards = [card for card in known.cards.values() if card.role != "auxiliary"]
        lines = [[c.name, c.prompting, c.objective, c.summary, c.source] for c in cards]
        heads = ["method", "prompts", "objective", "what it is", "follows"]
        print(tabulate(lines, headers=heads, maxcolwidths=[None, 24, 20, 36, 40]))
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
    options = options_as_json(parse_options(card, card.defaults))
    print(
        tabulate(options.items(), headers=["option", "default at full size"], disable_numparse=True)
    )
