"""Bad inputs of every kind that the command line reads, drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.bad_bytes import (
    archive_cases,
    checkpoint_cases,
    image_cases,
    name_cases,
    option_cases,
    row_cases,
    yaml_cases,
)
from benchmarks.bad_bytes.case import Maker

KINDS: dict[str, Maker] = {
    "yaml": yaml_cases.draw,
    "options": option_cases.draw,
    "rows": row_cases.draw,
    "checkpoints": checkpoint_cases.draw,
    "images": image_cases.draw,
    "archives": archive_cases.draw,
    "names": name_cases.draw,
}
"""What is made bad, and what draws a case of it."""

_SHARES = {"yaml": 6, "options": 5, "rows": 4, "checkpoints": 3, "images": 3, "archives": 2}


def shares(kinds: Sequence[str], cases: int) -> dict[str, int]:
    """Return how many of ``cases`` each kind gets."""
    weights = {kind: _SHARES.get(kind, 2) for kind in kinds}
    total = sum(weights.values())
    return {kind: -(-cases * weight // total) for kind, weight in weights.items()}
