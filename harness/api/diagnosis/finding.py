"""One thing that the doctor looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "absent", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what to do about it.

    Attributes:
        section: what it belongs to, such as ``devices``.
        name: what was looked at.
        value: what was found, for people.
        state: ``ok``; ``absent`` for what not everybody needs; ``broken`` for what is needed.
        advice: what to do about it in one line; empty where there is nothing to do.
    """

    section: str
    name: str
    value: str
    state: State = "ok"
    advice: str = ""


def gib(size_bytes: float) -> str:
    """Return a size in GiB, or in MiB below one."""
    size = size_bytes / 2**30
    return f"{size:.1f} GiB" if size >= 1 else f"{size_bytes / 2**20:.0f} MiB"
