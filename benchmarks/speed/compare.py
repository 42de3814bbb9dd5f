"""Times competitors in processes of their own, turn by turn, and reports ratios.

Each competitor keeps its process, so allocators and thread settings do not mix. They take
turns, since a shared machine is faster in one minute than in the next: a ratio is taken inside
each turn, and the median and quartiles are over turns.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.speed import subjects


@dataclass(frozen=True)
class Subject:
    """A function of ``subjects`` by name, and what it is called with."""

    maker: str
    arguments: tuple[Any, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Measured:
    """Seconds of each turn, and the memory that the work added to the process, in bytes."""

    seconds: tuple[float, ...]
    added_bytes: int

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


def _resident(field: str) -> int:
    """Return VmRSS or VmHWM (its peak) of this process; Linux alone keeps them."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def _reset_peak() -> None:
    """Start the peak at what is resident now: a process inherits its parent's."""
    Path("/proc/self/clear_refs").write_text("5")


def _serve(subject: Subject, pipe: Connection) -> None:
    work = getattr(subjects, subject.maker)(*subject.arguments, **dict(subject.options))
    _reset_peak()
    before = _resident("VmRSS")
    pipe.send("ready")
    while pipe.recv() == "go":
        began = time.perf_counter()
        work()
        pipe.send((time.perf_counter() - began, _resident("VmHWM") - before))


def measure(entrants: Mapping[str, Subject], turns: int, warm_up: int = 1) -> dict[str, Measured]:
    """Time every subject once per turn, after ``warm_up`` turns that do not count."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name, subject in entrants.items():
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(subject, there), daemon=True)
        process.start()
        there.close()
        if here.recv() != "ready":
            raise RuntimeError(f"{name} did not start")
        pipes[name] = here
        processes.append(process)
    seconds: dict[str, list[float]] = {name: [] for name in entrants}
    memory = dict.fromkeys(entrants, 0)
    for turn in range(-warm_up, turns):
        for name, pipe in pipes.items():
            pipe.send("go")
            taken, memory[name] = pipe.recv()
            if turn >= 0:
                seconds[name].append(taken)
    for pipe in pipes.values():
        pipe.send("stop")
    for process in processes:
        process.join()
    return {name: Measured(tuple(seconds[name]), memory[name]) for name in entrants}


@dataclass(frozen=True)
class Ratio:
    """Median and quartiles over turns of numerator time through denominator time."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
        ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
        if len(ratios) < 2:
            return cls(ratios[0], ratios[0], ratios[0])
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return cls(statistics.median(ratios), low, high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"

    def as_json(self) -> dict[str, float]:
        return asdict(self)
