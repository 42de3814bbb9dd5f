"""Measuring rows one after the other, with progress, and what becomes of a stop in between."""

from __future__ import annotations

import operator
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from harness.api.speed.case import Case, Context
from harness.api.speed.cuda_rows import CUDA_ROWS
from harness.api.speed.machine import describe_machine
from harness.api.speed.networks import PEER_PACKAGE, has_peer
from harness.api.speed.options import BenchOptions
from harness.api.speed.result import BenchResult, Curve, Machine, Measurement
from harness.api.speed.rows import ONE_THREAD, ROWS, NotHereError, Row
from harness.api.speed.sides import OURS
from harness.api.speed.turns import measure
from harness.config.errors import HarnessError, UsageError, did_you_mean
from harness.config.version import __version__
from harness.execution.progress import duration

OnLine = Callable[[str], None]
"""Receives a line on what is being measured and how long the rest takes."""

_SHOWN_EVERY_S = 15.0


def rows_of(options: BenchOptions) -> dict[str, Row]:
    """Return the rows that are asked for, by name.

    Raises:
        UsageError: there is no such row on this device.
    """
    known = CUDA_ROWS if options.device == "cuda" else ROWS
    for name in options.rows:
        if name not in known:
            raise UsageError(f"--rows: there is no row '{name}'; {did_you_mean(name, known)}")
    if options.rows:
        return {name: known[name] for name in options.rows}
    if options.amount is None and options.growth:
        return {}
    is_asked = operator.attrgetter("is_full" if options.amount == "full" else "is_quick")
    found = {name: row for name, row in known.items() if is_asked(row)}
    if options.used_threads == 1:
        found.pop(ONE_THREAD, None)  # it would be measured twice
    return found


@dataclass
class Clock:
    """Says how long what is left takes, judging by what is done.

    Attributes:
        expected_s: of all rows.
        on_line: receives a line now and then.
    """

    expected_s: float
    on_line: OnLine
    done_s: float = 0.0
    began: float = field(default_factory=time.monotonic)
    shown: float = 0.0

    def show(self, text: str, share: float = 0.0, of_s: float = 0.0, always: bool = True) -> None:
        """Show a line; ``share`` is what is done of a row that takes ``of_s`` as expected."""
        now = time.monotonic()
        if not always and now - self.shown < _SHOWN_EVERY_S:
            return
        self.shown = now
        done_s = self.done_s + share * of_s
        slower = 1.0
        if done_s > 0.05 * self.expected_s:
            slower = (now - self.began) / done_s
        left_s = slower * (self.expected_s - done_s)
        self.on_line(f"{text}; about {duration(left_s)} left")


@dataclass
class Bench:
    """A benchmark while it measures."""

    options: BenchOptions
    rows: Mapping[str, Row]
    clock: Clock
    machine: Machine
    measurements: list[Measurement] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def measure_rows(self) -> None:
        """Measure every row; one that cannot be measured is left out, with the reason."""
        for number, (name, row) in enumerate(self.rows.items(), start=1):
            title = f"{name} ({number} of {len(self.rows)})"
            self.clock.show(f"{title}: {row.about}")
            try:
                self._measure_row(name, title, row)
            except NotHereError as error:
                self._leave_out(name, str(error))
            except HarnessError as error:
                self._leave_out(name, str(error))
                self.clock.on_line(f"{name}: {error}")
            self.clock.done_s += row.expected_s

    def _measure_row(self, name: str, title: str, row: Row) -> None:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            context = Context(self.options.used_threads, Path(folder), has_peer())
            for number, case in enumerate(row.cases(context)):
                self._measure_case(name, f"{title}, {case.what}", case, (number, row.expected_s))

    def _measure_case(self, name: str, title: str, case: Case, place: tuple[int, float]) -> None:
        """Measure a case with the sides that fit into memory."""
        turns = self.options.turns or case.turns
        fitting = case.within(self._free_bytes())
        if fitting is None:
            self._leave_out(name, f"{case.what} needs more memory than is free")
            return
        for side in case.sides:
            if side not in fitting.sides:
                self._leave_out(name, f"{case.what}: no memory for '{side}'")

        def on_turn(done: int, total: int) -> None:
            share = done / total if place[0] == 0 else 0.5
            self.clock.show(f"{title}: turn {done} of {total}", share, place[1], always=False)

        found = measure(fitting.sides, turns, on_turn, case.warm_up)
        measurement = Measurement(
            row=name,
            what=case.what,
            sides=found.sides,
            gflop=found.gflop.get(OURS),
            fp32_gflops=self.machine.fp32_gflops,
        )
        self.measurements.append(measurement)

    def _leave_out(self, name: str, reason: str) -> None:
        before = self.left_out.get(name)
        self.left_out[name] = reason if before is None else f"{before}; {reason}"

    def _free_bytes(self) -> int | None:
        """Return the free memory of the machine; that of a GPU is found by trying."""
        import torch

        from harness.evaluation.memory import free_bytes

        return free_bytes(torch.device("cpu"))

    def result(self, is_complete: bool) -> BenchResult:
        """Return what was measured so far."""
        return BenchResult(
            version=__version__,
            command=self.options.command,
            date=datetime.now(UTC).date().isoformat(),
            machine=self.machine,
            measurements=tuple(self.measurements),
            curves=tuple(self.curves),
            left_out=self.left_out,
            is_complete=is_complete,
        )


def run_bench(options: BenchOptions, on_line: OnLine) -> BenchResult:
    """Measure what is asked for; Ctrl-C returns what was measured until then."""
    from harness.api.speed.growth import CURVES, measure_curves

    rows = rows_of(options)
    expected_s = sum(row.expected_s for row in rows.values())
    if options.growth:
        expected_s += sum(curve.expected_s for curve in CURVES.values())
    clock = Clock(expected_s, on_line)
    machine = describe_machine(options.used_threads, options.device)
    bench = Bench(options, rows, clock, machine)
    if not has_peer() and rows:
        package = PEER_PACKAGE.replace("_", "-")
        bench.left_out["published"] = (
            f"{package} is not installed (extra noncommercial), so ours is measured alone"
        )
    with _stoppable() as stopped:
        bench.measure_rows()
        if options.growth:
            measure_curves(bench, CURVES)
    return bench.result(is_complete=not stopped)


@contextmanager
def _stoppable() -> Iterator[list[bool]]:
    """Let Ctrl-C end what is inside; the list has an item if it did."""
    stopped: list[bool] = []
    try:
        yield stopped
    except KeyboardInterrupt:
        stopped.append(True)
