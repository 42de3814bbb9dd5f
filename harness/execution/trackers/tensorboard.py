"""Event files for TensorBoard, one folder for each run."""

from __future__ import annotations

import json
import math
import os
import platform
import time
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
    """Writes an event file, each event at once.

    The writer of torch writes in a thread, whose errors reach nobody. Its events are made as there.
    """

    def __init__(self, run: TrackedRun) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter
        from torch.utils.tensorboard import summary

        self._event: Any = Event
        self._summary: Any = summary
        run.folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names.
        name = f"events.out.tfevents.{time.time():.6f}.{platform.node()}.{os.getpid()}"
        self._file = (run.folder / name).open("xb")
        writer: Any = RecordWriter
        self._records: Any = writer(self._file)
        self._write(file_version="brain.Event:2")
        if run.reports == 0:
            config = json.dumps(run.config, indent=2, sort_keys=True)
            self._add(self._summary.text("run", f"{run.name}\n\n```json\n{config}\n```"), 0)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write values by name."""
        for name, value in values.items():
            self._add(self._summary.scalar(name, value), step)

    def image(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Write an image (H, W, 3)."""
        self._add(self._summary.image(name, pixels, dataformats="HWC"), step)

    def probe(self, name: str, matrix: Matrix, step: int) -> None:
        """Write a matrix as a table and as an image, the largest value white."""
        self._add(self._summary.text(name, markdown(matrix)), step)
        self._add(self._summary.image(name, heat_map(matrix), dataformats="HW"), step)

    def flush(self) -> None:
        """Write what is waiting."""
        self._records.flush()

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _add(self, summary: Any, step: int) -> None:
        self._write(summary=summary, step=step)

    def _write(self, **content: Any) -> None:
        event = self._event(wall_time=time.time(), **content)
        self._records.write(event.SerializeToString())


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
