"""Holding a run against other processes that compute the same plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.config.errors import Interrupted
from harness.execution.progress import Progress
from harness.planning.run import Run


@contextmanager
def hold(run: Run, progress: Progress, stop: Callable[[], bool]) -> Iterator[None]:
    """Hold the run's lock; wait, and log it once, while another process has it.

    Raises:
        Interrupted: ``stop`` answered yes while the lock was waited for.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(run.folder.lock)
    logged = False
    while True:
        try:
            lock.acquire(timeout=1)
            break
        except Timeout:
            if stop():
                raise Interrupted(f"{run.label} was waiting for another process") from None
            if not logged:
                progress.log("another process computes this run; waiting for it")
                logged = True
    try:
        yield
    finally:
        lock.release()
