"""Errors that the user can act on: one sentence, what is wrong and the way out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of characters, which no encoding has."""


_LONGEST_SENTENCE = 1600


class HarnessError(Exception):
    """A failure with a one-sentence explanation; the command exits with ``exit_code``.

    Of several processes that compute one run, it ends all, unless ``raised_by_all`` says that each
    of them raised it.
    """

    exit_code = 1
    raised_by_all = False


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
    names = sorted(set(known))
    if not names:
        return "nothing is known here"
    near = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    return "known are " + ", ".join(names)


def other_columns(found: Sequence[str], expected: Sequence[str]) -> str:
    """Return the sentence part that says how the first line of a CSV file is not what it must be.

    Args:
        found: the columns that the line names.
        expected: those that it must name, in their order.
    """
    missing = [name for name in expected if name not in found]
    more = ", ".join(repr(name) for name in found if name not in expected)
    if len(missing) == len(expected):
        return f"begins with none of its columns, of which the first is {expected[0]}"
    if missing:
        what = "column" if len(missing) == 1 else "columns"
        text = f"lacks the {what} {', '.join(missing)}"
        return f"{text} and has {more} instead" if more else text
    if more:
        return f"has {more}, which is no column of it"
    return f"has a column twice, or not in the order {','.join(expected)}"


def printable(text: str) -> str:
    """Return a sentence with control characters as they are written in Python, and not too long.

    Names of files and of methods may hold what a terminal takes for a command, or a whole file.
    """
    shown = UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text).replace("\r", "\\r")
    if len(shown) <= _LONGEST_SENTENCE:
        return shown
    half = _LONGEST_SENTENCE // 2
    return f"{shown[:half]} … {shown[-half:]}"


_MEMORY_SIGNS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "unable to allocate",
    "bad_alloc",
    "can't start new thread",
    "failed to map segment",
)
"""What libraries write, in lower case, where the system has no memory for them."""


def reason_of(error: BaseException) -> str:
    """Return what went wrong in one line, whatever the class of the error does.

    Code of a plug-in may raise errors whose own text fails, or end the process.
    """
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    try:
        text = str(error).strip()
    except (Exception, SystemExit):
        text = ""
    name = type(error).__name__
    return f"{name}: {text.splitlines()[0]}" if text else f"{name}, without a reason"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is no memory: Python's, torch's or the system's."""
    if isinstance(error, MemoryError):
        return True
    text = reason_of(error).lower()
    return any(sign in text for sign in _MEMORY_SIGNS)


def out_of_memory(error: BaseException) -> str:
    """Return the sentence on an error that :func:`is_out_of_memory` recognises."""
    return (
        f"there is not enough memory ({reason_of(error)}); use fewer --jobs, --workers 0, a "
        "smaller network or batch in the recipe, or a higher memory limit"
    )
