"""Processes that compute for this one: they stop with it, and leave signals to it."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time

_POLL_S = 1.0


@functools.cache
def follow_parent() -> None:
    """Leave Ctrl-C and SIGTERM to the parent, and end when it is gone.

    A terminal sends Ctrl-C to every process of its group, and so does whoever ends a job by
    SIGTERM. The parent stops its workers through the stop file, so that they can save.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watcher = threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True)
    watcher.start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)
