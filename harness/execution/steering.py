"""How the computation of a run is stopped, and kept from writing over that of another process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Steering:
    """Asked while a run is computed.

    Attributes:
        stop: after each step, and after each image that is restored.
        check: before each write; raises where another process computes the run.
    """

    stop: Callable[[], bool]
    check: Callable[[], None]
