"""Stopping cleanly: the first Ctrl-C asks, the second kills."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def stop_on_signals(stop_file: Path) -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a file that all workers see; the second kills."""

    def ask(number: int, frame: Any) -> None:
        if stop_file.exists():
            os._exit(128 + number)
        stop_file.touch()
        print("stopping after this step; again to kill", file=sys.stderr, flush=True)

    signals = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, ask) for number in signals}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        stop_file.unlink(missing_ok=True)


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which the terminal sends it to as well."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
