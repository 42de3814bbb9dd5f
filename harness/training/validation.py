"""What a training needs of its validation; :mod:`harness.evaluation.validation` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch

from harness.method import Method


class ValidationOutcome(Protocol):
    """The outcome of one validation."""

    @property
    def score(self) -> float:
        """Mean over tasks; higher is better."""
        ...

    @property
    def per_task(self) -> Mapping[str, float]:
        """PSNR in dB, or the accuracy of a classifier in [0, 1]."""
        ...

    @property
    def text(self) -> str:
        """The score in a few words."""
        ...


class Validator(Protocol):
    """Scores a method on validation images."""

    def score(self, method: Method, device: torch.device) -> ValidationOutcome:
        """Score ``method`` on ``device``, in evaluation mode."""
        ...
