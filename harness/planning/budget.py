"""What each method may spend on its search."""

from __future__ import annotations

from pydantic import Field

from harness.config.spec import Spec


class Budget(Spec):
    """What each method may spend on its search.

    Attributes:
        trials: trainings per method and seed; the first has the recipe's and the method's values.
        steps: of each training; None takes the recipe's.
        seed: which points are tried.
        fixed: options and training values that are not searched.
    """

    trials: int = Field(default=20, ge=1, le=10_000)
    steps: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    fixed: tuple[str, ...] = ()
