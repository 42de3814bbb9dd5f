"""One side of a measurement in a process of its own: ``python -m harness.api.speed.subject``.

Standard input brings what is to be timed and then a line for each turn; standard output returns a
line of JSON for each. Allocators and thread settings of several sides do not mix that way, and a
notebook or script that measures is not imported again.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.api.speed.memory import AddedMemory
from harness.api.speed.timers import timer_of
from harness.config.errors import reason_of

Work = Callable[[], float | None]
"""What is timed; it may return the seconds of it that it waited for data."""

SHORTEST_S, MOST_REPEATS = 0.05, 20
"""What takes less is repeated within a turn."""


@dataclass(frozen=True)
class Prepared:
    """What a maker returns.

    Attributes:
        work: is timed.
        gflop: of one repetition, where they were counted.
        is_repeated: whether short work is repeated within a turn.
        has_memory: whether the work takes its memory in this process, and not in another.
    """

    work: Work
    gflop: float | None = None
    is_repeated: bool = True
    has_memory: bool = True


@dataclass(frozen=True)
class Subject:
    """What is timed.

    Attributes:
        maker: ``module:function`` below this package; it prepares, and returns what is timed.
        values: what the function is called with.
        device: where it computes, which decides how it is timed.
    """

    maker: str
    values: dict[str, Any]
    device: str = "cpu"

    def prepare(self) -> Prepared:
        """Call the maker."""
        module, _, function = self.maker.partition(":")
        found = importlib.import_module(f"harness.api.speed.{module}")
        prepared: Prepared = getattr(found, function)(**self.values)
        return prepared


def serve(subject: Subject, answer: Callable[[dict[str, Any]], None]) -> None:
    """Prepare a subject, and time it for every line of standard input that says ``go``."""
    prepared = subject.prepare()
    timer, memory = timer_of(subject.device), AddedMemory.of(subject.device)
    answer({"ready": True, "gflop": prepared.gflop})
    repeats = 1
    for line in sys.stdin:
        if line.strip() != "go":
            return
        waited: list[float] = []

        def repeated(count: int = repeats, waits: list[float] = waited) -> None:
            for _ in range(count):
                found = prepared.work()
                if found is not None:
                    waits.append(found)

        seconds = timer.seconds(repeated) / repeats
        found: dict[str, Any] = {
            "seconds": seconds,
            "added_bytes": memory.added() if prepared.has_memory else None,
        }
        if waited:
            found["waited_s"] = sum(waited) / repeats
        answer(found)
        if prepared.is_repeated:
            repeats = max(1, min(MOST_REPEATS, round(SHORTEST_S / max(seconds, 1e-9))))


def main() -> None:
    """Serve the subject that standard input describes; an error is a line as well."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the measuring process ends this one
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not mix with the answers

    def answer(values: dict[str, Any]) -> None:
        print(json.dumps(values), file=channel, flush=True)

    try:
        serve(Subject(**json.loads(sys.stdin.readline())), answer)
    except Exception as error:
        answer({"error": reason_of(error)})


if __name__ == "__main__":
    main()
