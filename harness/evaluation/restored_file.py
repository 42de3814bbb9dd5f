"""What became of one image file that was to be restored. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class RestoredFile:
    """What became of one file.

    Attributes:
        source: the degraded image.
        target: its result.
        state: ``restored``, ``skipped`` because the result exists, or ``failed``.
        reason: why it failed.
        notes: sentences on what was converted, left out, or cut into tiles.
        prompts: the line on its prompts; empty where they are not known.
        explanation: what the JSON file of ``explain`` holds; None without prompts.
        wall_s: time to read, restore and write it.
    """

    source: Path
    target: Path
    state: Literal["restored", "skipped", "failed"]
    reason: str = ""
    notes: tuple[str, ...] = ()
    prompts: str = ""
    explanation: dict[str, Any] | None = None
    wall_s: float = 0.0
