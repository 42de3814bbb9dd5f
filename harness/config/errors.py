"""Errors that the user can act on: one sentence, what is wrong and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """A failure with a one-sentence explanation; the command exits with ``exit_code``."""

    exit_code = 1


class UsageError(HarnessError):
    """A command line, a setting or a recipe asks for something that does not exist."""

    exit_code = 2


class RunError(HarnessError):
    """One run of a plan could not be computed; other runs are not affected."""


class Interrupted(HarnessError):  # noqa: N818 - it is not an error of the program
    """The user stopped the run; everything so far is saved."""

    exit_code = 130


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return the sentence part that names the nearest known names, or all of them."""
    names = sorted(known)
    if not names:
        return "nothing is known here"
    near = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    return "known are " + ", ".join(names)
