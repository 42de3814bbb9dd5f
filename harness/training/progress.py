"""What a training reports while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class TrainingProgress(Protocol):
    """Receives the course of one training."""

    def step(self, done: int, total: int, loss: float, validation: str) -> None:
        """Receive that ``done`` of ``total`` steps are done, with the last loss and validation."""
        ...

    def log(self, text: str) -> None:
        """Receive one line of the log."""
        ...


@dataclass(frozen=True)
class Validated:
    """The course of a training since the validation before, as its trackers receive it.

    Attributes:
        step: steps that are done.
        score: of the validation, mean over tasks.
        per_task: PSNR in dB by task, or the accuracy of a classifier in [0, 1].
        losses: mean of each loss term over the steps since the validation before.
        learning_rate: of the last step.
        images_per_s: training images per second since the validation before, which it leaves out.
    """

    step: int
    score: float
    per_task: Mapping[str, float]
    losses: Mapping[str, float]
    learning_rate: float
    images_per_s: float


def report_nothing(validated: Validated) -> None:
    """Let what a validation found pass."""


def duration(seconds: float) -> str:
    """Return a duration as ``45s``, ``3m20s`` or ``2h05m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
