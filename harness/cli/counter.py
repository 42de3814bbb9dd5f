"""A counter of images for the terminal: a bar, or a line now and then where output is a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

EVERY_S = 15.0


@contextmanager
def counting(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that receives how many of how many are done; it writes to stderr."""
    if not sys.stderr.isatty():
        yield _Lines(label).report
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=None)

        def report(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)

        yield report


@dataclass
class _Lines:
    label: str
    began_s: float = field(default_factory=time.monotonic)
    last_s: float = field(default_factory=time.monotonic)

    def report(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if now_s - self.last_s >= EVERY_S:
            self.last_s = now_s
            left_s = (now_s - self.began_s) / max(1, done) * (total - done)
            line = f"[{self.label}] {done}/{total}  about {left_s:.0f} s left"
            print(line, file=sys.stderr, flush=True)
