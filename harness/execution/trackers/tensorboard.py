"""Event files for TensorBoard, one folder for each run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.execution.trackers.protocol import Matrix, TrackedRun

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE = "tensorboard"
_CELL_PX = 24


def open_tracker(run: TrackedRun) -> TensorBoard:
    """Return the writer of a run; a run that goes on gets one more file in the same folder."""
    return TensorBoard(run)


class TensorBoard:
    """Writes event files with the writer of torch."""

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run.folder))
        if run.reports == 0:
            config = json.dumps(run.config, indent=2, sort_keys=True)
            self._writer.add_text("run", f"{run.name}\n\n```json\n{config}\n```", 0)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write values by name."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Write an image (H, W, 3)."""
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def probe(self, name: str, matrix: Matrix, step: int) -> None:
        """Write a matrix as a table and as an image, the largest value white."""
        self._writer.add_text(name, markdown(matrix), step)
        self._writer.add_image(name, heat_map(matrix), step, dataformats="HW")

    def flush(self) -> None:
        """Write what is waiting."""
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def markdown(matrix: Matrix) -> str:
    """Return a matrix as a Markdown table, values to four significant digits."""
    lines = ["| | " + " | ".join(matrix.columns) + " |", "|---" * (len(matrix.columns) + 1) + "|"]
    for name, values in zip(matrix.rows, matrix.values, strict=True):
        shown = ["–" if value is None else f"{value:.4g}" for value in values]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def heat_map(matrix: Matrix) -> NDArray[np.uint8]:
    """Return a matrix as a grey image: its least value black, its largest white.

    What is unknown or not finite is black.
    """
    values = np.array(matrix.values, dtype=np.float64)
    known = np.isfinite(values)
    grey = np.zeros(values.shape, dtype=np.uint8)
    if known.any():
        least, largest = values[known].min(), values[known].max()
        span = largest - least if largest > least else math.inf
        grey[known] = np.round(255 * (values[known] - least) / span).astype(np.uint8)
    return grey.repeat(_CELL_PX, axis=0).repeat(_CELL_PX, axis=1)
