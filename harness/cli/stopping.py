"""Ctrl-C and SIGTERM before and after runs are computed: planning, hashing, tables, reports.

While runs are computed, :mod:`harness.launch.signals` answers them instead, so that they can save.
"""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.config.errors import Interrupted


def stopped() -> Interrupted:
    """Return what a command that was stopped ends with: the way to go on."""
    command = shlex.join(["python", "-m", "harness", *sys.argv[1:]])
    return Interrupted(f"stopped; nothing is lost. Go on with: {command}")


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end what is inside as Ctrl-C does; only a main thread can ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
