"""A counter for whoever waits: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 15.0


@contextmanager
def counting(label: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that is told how many of how many are done; it writes to stderr."""
    if not sys.stderr.isatty():
        last_s = time.monotonic()

        def line(done: int, total: int) -> None:
            nonlocal last_s
            if time.monotonic() - last_s >= EVERY_S:
                last_s = time.monotonic()
                print(f"[{label}] {done}/{total}", file=sys.stderr, flush=True)

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Left

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Left())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
