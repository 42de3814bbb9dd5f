"""What a tracker receives of a run. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrackedRun:
    """A run as a tracker knows it.

    Attributes:
        id: letters and digits that no other run has; the same each time that the run goes on.
        name: label and id of the run, for people.
        folder: where the tracker writes; no other run writes there.
        config: what determines the weights, as JSON values.
        reports: what the tracker has received of the run in earlier processes, counted in calls.
    """

    id: str
    name: str
    folder: Path
    config: Mapping[str, Any]
    reports: int = 0


@dataclass(frozen=True)
class Matrix:
    """A matrix with names.

    Attributes:
        rows: names of the rows, such as tasks.
        columns: names of the columns, such as experts.
        values: by row; None where nothing is known.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]


class Tracker(Protocol):
    """Shows one run. ``step`` counts training steps, and never becomes smaller.

    Any error of a tracker ends it with a warning, and changes nothing else.
    """

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Receive values by name; what is before a ``/`` is the group of a name."""
        ...

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Receive an image (H, W, 3)."""
        ...

    def probe(self, name: str, matrix: Matrix, step: int) -> None:
        """Receive what a probe measured, such as the expert load of each task."""
        ...

    def flush(self) -> None:
        """Write what was received, so that a kill does not lose it."""
        ...

    def close(self) -> None:
        """End the tracker in this process."""
        ...
