"""The subcommands by name: what each is, and where its function lies until it is asked for.

``--help`` shows the sentences of this table, so it imports no subcommand, and a subcommand imports
none but itself.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from harness.cli.flags import takes_groups
from harness.cli.stopping import stopped


@dataclass(frozen=True)
class Subcommand:
    """One subcommand.

    Attributes:
        source: its function, or its Typer app, as ``module:name``.
        help: the first sentence of what it says of itself.
    """

    source: str
    help: str


SUBCOMMANDS = {
    "run": Subcommand(
        "harness.cli.run:run", "Train and score methods on a setting, and print the table."
    ),
    "plan": Subcommand(
        "harness.cli.plan:plan",
        "Store the plan of a request, and print its runs in an order in which they can be "
        "computed.",
    ),
    "exec": Subcommand(
        "harness.cli.plan:execute",
        "Compute one run of a stored plan, on any machine that sees the plan's output folder.",
    ),
    "ablate": Subcommand(
        "harness.cli.ablate:ablate",
        "Change one thing at a time, and print what it is worth, with its interval.",
    ),
    "tune": Subcommand(
        "harness.cli.tune:tune",
        "Search learning rate, weight decay, patch, warm-up and the options of each method.",
    ),
    "table": Subcommand(
        "harness.cli.table:table",
        "Print the table from stored results; what was not computed is shown as missing.",
    ),
    "compare": Subcommand(
        "harness.cli.compare:compare",
        "Compare methods image by image from stored results: differences, intervals and tests.",
    ),
    "evaluate": Subcommand(
        "harness.cli.evaluate:evaluate",
        "Score weights from a file: an author's release, or a run's own.",
    ),
    "figure": Subcommand(
        "harness.cli.figure:figure",
        "Draw a figure of stored runs as PNG and PDF, in the size of a paper.",
    ),
    "images": Subcommand(
        "harness.cli.images:images",
        "Make restored images of finished runs from their weights, and print where they are.",
    ),
    "convert": Subcommand(
        "harness.cli.convert:convert",
        "Write weights as safetensors with method, options and the hash of their source.",
    ),
    "restore": Subcommand(
        "harness.cli.restore:restore",
        "Restore images of your own, whatever their size and kind.",
    ),
    "demo": Subcommand(
        "harness.cli.demo.command:demo",
        "Open a local web page: drop an image, choose a method, compare before and after.",
    ),
    "report": Subcommand(
        "harness.cli.report:report",
        "Write the results of a plan as a site that opens from disk, without a server.",
    ),
    "leaderboard": Subcommand(
        "harness.cli.leaderboard:leaderboard",
        "Write what papers print and what was measured as one page that opens from disk.",
    ),
    "score": Subcommand(
        "harness.cli.score:score",
        "Score restored images against clean ones under one or several protocols.",
    ),
    "audit": Subcommand(
        "harness.cli.audit:audit",
        "Recompute every average that published tables print, and list what does not agree.",
    ),
    "validate": Subcommand(
        "harness.cli.validate:validate",
        "Check settings, test sets, data sets, protocols, recipes, studies and requests.",
    ),
    "methods": Subcommand(
        "harness.cli.methods:methods",
        "List the methods, or the options of one with their defaults.",
    ),
    "doctor": Subcommand(
        "harness.cli.doctor:doctor",
        "Say what works on this machine, what is missing, and what to do about it.",
    ),
    "bench": Subcommand(
        "harness.cli.bench:bench",
        "Measure how fast this machine trains, restores, scores and starts.",
    ),
    "data": Subcommand(
        "harness.cli.data:app", "Settings and their images; data sets on this machine's disk."
    ),
    "runs": Subcommand("harness.cli.runs:app", "What is stored: list runs, remove old ones."),
}
"""In the order of ``--help``."""


class _Named:
    """Stands for a subcommand: it knows name and sentence, and becomes the command for the rest."""

    short_help, hidden, deprecated = None, False, False
    rich_help_panel = None

    def __init__(self, name: str) -> None:
        self.name, self.help = name, SUBCOMMANDS[name].help

    def __getattr__(self, name: str) -> Any:
        return getattr(load(self.name), name)


class Subcommands(TyperGroup):
    """A group whose subcommands are those of the table, and what an app adds to them."""

    def __init__(self, *, commands: Any = None, **values: Any) -> None:
        known: dict[str, Any] = {name: _Named(name) for name in SUBCOMMANDS}
        super().__init__(commands={**known, **(commands or {})}, **values)

    def invoke(self, ctx: Any) -> Any:
        """Call the subcommand, of whichever depth.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; its sentence says how to go on.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise stopped() from None


@functools.cache
def load(name: str) -> Any:
    """Import a subcommand and return its command."""
    module, _, attribute = SUBCOMMANDS[name].source.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    holder = typer.Typer(callback=_nothing)  # with a callback it is a group, of one
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(takes_groups(found))
    return get_command(holder).commands[name]  # type: ignore[attr-defined]


def _nothing() -> None:
    """Do nothing before a subcommand."""
