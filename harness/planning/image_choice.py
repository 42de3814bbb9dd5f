"""Which images are kept or shown: ``all``, ``worst:N``, ``none``, or names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

from harness.config.errors import UsageError, did_you_mean
from harness.config.run_specs import TestSet

Name = tuple[str, str]
"""Column and image."""

_WORST = re.compile(r"worst:([1-9]\d{0,8})")


def worst_count(choice: str) -> int | None:
    """Return the N of ``worst:N``; None of other choices."""
    match = _WORST.fullmatch(choice)
    return int(match[1]) if match else None


def check_choice(choice: str) -> str:
    """Return a choice of images that is one.

    Raises:
        ValueError: it is none of ``all``, ``worst:N`` and ``none``.
    """
    if choice not in ("all", "none") and worst_count(choice) is None:
        raise ValueError(
            f"'{choice}' is no choice of images; keep all, none, or worst:5 for the five worst of "
            "each column"
        )
    return choice


KeptImages = Annotated[str, AfterValidator(check_choice)]
"""``all``, ``worst:N`` or ``none``."""


def all_names(test: TestSet) -> list[Name]:
    """Return column and image of every test pair, in order."""
    names: list[Name] = []
    for column, images in test.images_by_column().items():
        for image in images:
            names.append((column, image))
    return names


def check_names(test: TestSet, names: Sequence[Name]) -> None:
    """Refuse a column or an image that a test set does not have.

    Raises:
        UsageError: names it and the nearest.
    """
    known = test.images_by_column()
    for column, image in names:
        if column not in known:
            raise UsageError(
                f"{test.setting} has no column '{column}'; {did_you_mean(column, known)}"
            )
        if image not in known[column]:
            raise UsageError(
                f"column {column} has no image '{image}'; {_nearest(image, known[column])}"
            )


def named_images(test: TestSet, texts: Sequence[str]) -> list[Name]:
    """Return the images that a command line names, each once.

    A text is an image, which stands for it in every column that has it, or ``COLUMN:IMAGE``;
    several are separated by commas.

    Raises:
        UsageError: there is no such image; the nearest are named.
    """
    by_text: dict[str, list[Name]] = {}
    for column, image in all_names(test):
        by_text.setdefault(image, []).append((column, image))
        by_text[f"{column}:{image}"] = [(column, image)]
    found: list[Name] = []
    for text in texts:
        # The name of a file may hold a comma.
        parts = [text] if text in by_text else [part.strip() for part in text.split(",")]
        for part in filter(None, parts):
            if part not in by_text:
                raise UsageError(
                    f"no image of {test.setting} is called '{part}'; {_nearest(part, by_text)}"
                )
            found += by_text[part]
    return list(dict.fromkeys(found))


def _nearest(wrong: str, known: Sequence[str] | dict[str, list[Name]]) -> str:
    """Return the nearest names, or the first few: a column may have thousands."""
    near = did_you_mean(wrong, known)
    if near.startswith("did"):
        return near
    return f"its images are called like {', '.join(list(known)[:3])}"
