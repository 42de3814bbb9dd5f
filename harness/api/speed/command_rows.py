"""The rows that time commands: with nothing stored, with everything, and among other runs."""

from __future__ import annotations

from collections.abc import Iterator

from harness.api.speed.case import Case, Context, subject
from harness.api.speed.sides import BARE_PYTHON, OURS
from harness.api.speed.subject import Subject

SMOKE_RUN = ("run", "--recipe", "smoke", "--methods", "cpl,promptir", "--device", "cpu")

OTHER_RUNS, OTHER_ROWS = 1000, 20
"""Runs in the folder besides those that are asked for, and results of each."""


def help_text(context: Context) -> Iterator[Case]:
    """Yield ``--help``."""
    yield Case("--help", _sides(("--help",)), 9)


def stored(context: Context) -> Iterator[Case]:
    """Yield a run of which everything is stored."""
    yield Case("repeated run, everything stored", _sides(_stored_run(context)), 9)


def stored_among_others(context: Context) -> Iterator[Case]:
    """Yield the same in a folder with many other runs."""
    from harness.api.plans import plan
    from harness.api.speed.made_up_runs import seeds_of, write_runs

    words = _stored_run(context)
    run = plan(methods=("promptir",), recipe="smoke").runs[-1]
    write_runs(context.folder, seeds_of(run.method.id, run.train, OTHER_RUNS), OTHER_ROWS)
    yield Case("repeated run, 1,000 other runs stored", _sides(words), 9)


def first_start(context: Context) -> Iterator[Case]:
    """Yield a first run, with an empty cache."""
    sides = {OURS: subject("commands:first_progress", folder=context.folder)}
    sides[BARE_PYTHON] = subject("commands:bare_python")
    yield Case("first run until its first line of progress, empty cache", sides, 5)


def _stored_run(context: Context) -> tuple[str, ...]:
    """Compute a small run, and return the words that ask for it."""
    from harness.api.speed.commands import command

    words = (*SMOKE_RUN, "--out", str(context.folder))
    command(words).work()
    return words


def _sides(words: tuple[str, ...]) -> dict[str, Subject]:
    sides = {OURS: subject("commands:command", words=words)}
    sides[BARE_PYTHON] = subject("commands:bare_python")
    return sides
