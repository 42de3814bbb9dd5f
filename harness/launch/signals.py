"""Stopping cleanly: the first Ctrl-C asks, the second kills."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.config.ranks import rank_of_environment

_SAME_REQUEST_S = 5.0
"""SIGTERM again within so many seconds is the same request: Slurm signals all processes of a job,
and the script of the job passes the signal on."""


@contextmanager
def stop_on_signals(stop_file: Path) -> Iterator[Path]:
    """Turn the first Ctrl-C or SIGTERM into a file that all workers see; the second kills.

    Only the process that called this acts on signals: its children inherit the handlers, and a
    terminal sends Ctrl-C to them as well. Killed workers end with their parent. Outside the main
    thread, which alone receives signals, they are left as they are.
    """
    owner = os.getpid()
    asked_at = -math.inf
    stop_file.unlink(missing_ok=True)  # of a process with this id that was killed
    if threading.current_thread() is not threading.main_thread():
        yield stop_file
        return

    def ask(number: int, frame: Any) -> None:
        nonlocal asked_at
        if os.getpid() != owner:
            return
        if stop_file.exists():
            if number == signal.SIGTERM and time.monotonic() - asked_at < _SAME_REQUEST_S:
                return
            stop_file.unlink(missing_ok=True)
            os._exit(128 + number)
        asked_at = time.monotonic()
        try:
            stop_file.touch()
        except OSError:  # the disk is full or may only be read: nothing can be saved either
            raise KeyboardInterrupt from None
        if rank_of_environment() == 0:
            print("stopping after this step; again to kill", file=sys.stderr, flush=True)

    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, ask) for number in signals}
    try:
        yield stop_file
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        stop_file.unlink(missing_ok=True)
