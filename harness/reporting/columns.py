"""Extra columns of a benchmark table: one entry each, shown when asked for.

To add one, write a function that takes the runs of a method and returns the text of its value, and
add an entry to :data:`EXTRA_COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.config.errors import UsageError, did_you_mean
from harness.planning.run import Run
from harness.reporting.table import MISSING

Runs = Sequence[Run]


@dataclass(frozen=True)
class ExtraColumn:
    """A column that is about a method and not about one of its metrics.

    Attributes:
        heading: of the column.
        value: returns the text of the column for the runs of one method.
    """

    heading: str
    value: Callable[[Runs], str]


def parameters(runs: Runs) -> str:
    """Return the parameters of the trained network in millions; 0.00 where nothing is trained."""
    if not runs[0].method.spec.trained:
        return "0.00"
    counts = _provenance_values(runs, "parameters")
    return f"{counts[0] / 1e6:.2f}" if counts else MISSING


def multiply_accumulates(runs: Runs) -> str:
    """Return the multiply-accumulates of the network at full size, 256x256 pixels, in billions.

    They were counted of the catalogue's methods; of one with other options none are known.
    """
    method = runs[0].method
    macs = None if method.overrides else method.spec.macs
    return f"{macs / 1e9:.1f}" if macs else MISSING


def train_time(runs: Runs) -> str:
    """Return the mean time of a training in minutes."""
    times_s = _provenance_values(runs, "wall_s")
    return f"{sum(times_s) / len(times_s) / 60:.1f}" if times_s else MISSING


EXTRA_COLUMNS = {
    "parameters": ExtraColumn("Params (M)", parameters),
    "macs": ExtraColumn("MACs (G, full size)", multiply_accumulates),
    "train_time": ExtraColumn("Training (min)", train_time),
}
"""All extra columns, by name."""


def extra_columns(names: Sequence[str]) -> list[ExtraColumn]:
    """Return extra columns by name.

    Raises:
        UsageError: no such column; the nearest is named.
    """
    for name in names:
        if name not in EXTRA_COLUMNS:
            raise UsageError(f"unknown column '{name}'; {did_you_mean(name, EXTRA_COLUMNS)}")
    return [EXTRA_COLUMNS[name] for name in names]


def _provenance_values(runs: Runs, key: str) -> list[Any]:
    """Return what ``provenance.json`` of each run says under ``key``, where it says it."""
    found = []
    for run in runs:
        value = run.folder.read_provenance().get(key)
        if value is not None:
            found.append(value)
    return found
