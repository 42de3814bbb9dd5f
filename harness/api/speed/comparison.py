"""Two benchmarks: what became slower or faster by more than the noise of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.api.speed.sides import REFERENCES
from harness.api.speed.spread import Spread, Verdict, verdict

if TYPE_CHECKING:
    from harness.api.speed.result import BenchResult, Machine, Measurement


@dataclass(frozen=True)
class RowChange:
    """One line of both benchmarks.

    Attributes:
        row: its row.
        what: was timed.
        reference: what the times of a turn are divided by; empty where both share nothing. Then
            they are seconds, of different machines those at equal matrix rate.
        old: times relative to the reference, of the older benchmark.
        new: the same of the newer one.
        old_s: seconds of the older benchmark.
        new_s: seconds of the newer one.
        at_equal_rate: new seconds through old, each times its machine's matrix rate.
    """

    row: str
    what: str
    reference: str
    old: Spread
    new: Spread
    old_s: Spread
    new_s: Spread
    at_equal_rate: float

    @property
    def change(self) -> float:
        """How many times as long it takes now, relative to the reference."""
        return self.new.median / self.old.median

    @property
    def verdict(self) -> Verdict:
        """Slower or faster where the quartiles of both do not meet, else the same."""
        return verdict(self.old, self.new)


@dataclass(frozen=True)
class Comparison:
    """Two benchmarks row by row.

    Attributes:
        old: machine of the older one.
        new: machine of the newer one.
        rows: what both measured.
        alone: what one of them measured, with which.
    """

    old: Machine
    new: Machine
    rows: tuple[RowChange, ...]
    alone: Mapping[str, str]

    @property
    def same_machine(self) -> bool:
        """Whether processor, device and threads are the same."""
        return is_same_machine(self.old, self.new)

    @property
    def slower(self) -> list[RowChange]:
        """What became slower by more than the noise."""
        return [row for row in self.rows if row.verdict == "slower"]

    def text(self, width: int | None = None) -> str:
        """Return a table for a terminal of ``width`` characters."""
        from harness.api.speed.tables import comparison_text

        return comparison_text(self, width)

    def __str__(self) -> str:
        return self.text()


def is_same_machine(old: Machine, new: Machine) -> bool:
    """Return whether processor, device and threads are the same."""
    same_device = (old.processor, old.device) == (new.processor, new.device)
    return same_device and old.threads == new.threads


def compare_results(old: BenchResult, new: BenchResult) -> Comparison:
    """Compare what both measured, by row and what was timed."""
    known = _by_name(old)
    rows: list[RowChange] = []
    alone: dict[str, str] = {}
    for name, measurement in _by_name(new).items():
        before = known.pop(name, None)
        if before is None:
            alone[_shown(measurement)] = "new"
        else:
            rows.append(_change(before, measurement, is_same_machine(old.machine, new.machine)))
    for measurement in known.values():
        alone[_shown(measurement)] = "old"
    return Comparison(old.machine, new.machine, tuple(rows), alone)


def _by_name(result: BenchResult) -> dict[tuple[str, str], Measurement]:
    found: dict[tuple[str, str], Measurement] = {}
    for measurement in result.measurements:
        found[measurement.row, measurement.what] = measurement
    return found


def _shown(measurement: Measurement) -> str:
    return f"{measurement.row}: {measurement.what}"


def _change(old: Measurement, new: Measurement, is_same: bool) -> RowChange:
    reference = _reference(old, new)
    old_s, new_s = old.ours.spread_s, new.ours.spread_s
    rate = new.fp32_gflops / old.fp32_gflops
    if reference:
        relative = old.relative(reference), new.relative(reference)
    else:
        relative = old_s, new_s.times(1.0 if is_same else rate)
    return RowChange(
        row=new.row,
        what=new.what,
        reference=reference,
        old=relative[0],
        new=relative[1],
        old_s=old_s,
        new_s=new_s,
        at_equal_rate=new_s.median / old_s.median * rate,
    )


def _reference(old: Measurement, new: Measurement) -> str:
    """Return what both took turns with: a reference, or a peer; empty if nothing."""
    shared = [name for name in (*REFERENCES, *new.peers) if name in old.sides and name in new.sides]
    return shared[0] if shared else ""
