"""One bad input: what is made bad, which command reads it, and what may come of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Expected = Literal["refused", "same", "either", "any"]
"""What may come of a case: a refusal; what the whole input gives; one of both; or, where another
output is right as well, anything that is no fault."""

Change = Callable[[Path], object]
"""Changes the working folder of a case."""


def nothing(work: Path) -> None:
    """Leave the folder as it is."""


@dataclass(frozen=True)
class Case:
    """A command line on a bad input.

    Attributes:
        what: what is bad, in words.
        words: the command line.
        expected: what may come of it.
        named: one of these stands in the message of a refusal: file, flag or value; empty leaves
            that open.
        set_up: makes the whole input.
        harm: makes it bad; the same command without it is what a right result is compared with.
        inspect: looks at the output folder of a command that succeeded; returns a fault or nothing.
        environment: variables; None removes one.
    """

    what: str
    words: tuple[str, ...]
    expected: Expected = "refused"
    named: tuple[str, ...] = ()
    set_up: Change = nothing
    harm: Change = nothing
    inspect: Callable[[Path, str], str] | None = None
    environment: tuple[tuple[str, str | None], ...] = ()


Maker = Callable[[random.Random, Path], Case]
"""Draws a case; the folder is that of the whole inputs."""
