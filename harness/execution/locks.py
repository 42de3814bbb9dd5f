"""Holding a run against other processes that compute the same plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.config.errors import HarnessError, Interrupted
from harness.execution.progress import Progress
from harness.planning.run import Run


class RunIsHeld(HarnessError):  # noqa: N818 - another process computes it, which is no error
    """Another process computes the run."""


@contextmanager
def hold(run: Run, progress: Progress, stop: Callable[[], bool], wait: bool) -> Iterator[None]:
    """Hold the run's lock.

    Args:
        run: what is held.
        progress: logs, once, that the lock is waited for.
        stop: asked while waiting.
        wait: whether to wait while another process has the lock.

    Raises:
        RunIsHeld: another process has the lock, and it is not waited for.
        Interrupted: ``stop`` answered yes while the lock was waited for.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(run.folder.lock)
    logged = False
    while True:
        try:
            lock.acquire(timeout=1 if wait else 0)
            break
        except Timeout:
            if not wait:
                raise RunIsHeld(f"{run.label} is computed by another process") from None
            if stop():
                raise Interrupted(f"{run.label} was waiting for another process") from None
            if not logged:
                progress.log("another process computes this run; waiting for it")
                logged = True
    try:
        yield
    finally:
        lock.release()
