"""What a training reports while it runs."""

from __future__ import annotations

from typing import Protocol


class TrainingProgress(Protocol):
    """Receives the course of one training."""

    def step(self, done: int, total: int, loss: float, validation: str) -> None:
        """Receive that ``done`` of ``total`` steps are done, with the last loss and validation."""
        ...

    def log(self, text: str) -> None:
        """Receive one line of the log."""
        ...


def duration(seconds: float) -> str:
    """Return a duration as ``45s``, ``3m20s`` or ``2h05m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
