"""Stopping cleanly: the first Ctrl-C asks, the second kills."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.config.ranks import rank_of_environment


@contextmanager
def stop_on_signals(stop_file: Path) -> Iterator[Path]:
    """Turn the first Ctrl-C or SIGTERM into a file that all workers see; the second kills.

    Only the process that called this acts on signals: its children inherit the handlers, and a
    terminal sends Ctrl-C to them as well. Killed workers end with their parent.
    """
    owner = os.getpid()
    stop_file.unlink(missing_ok=True)  # of a process with this id that was killed

    def ask(number: int, frame: Any) -> None:
        if os.getpid() != owner:
            return
        if stop_file.exists():
            stop_file.unlink(missing_ok=True)
            os._exit(128 + number)
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
