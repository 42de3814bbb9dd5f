"""Processes that compute for this one: they stop with it, and leave signals to it."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_POLL_S = 0.5


@contextmanager
def signals_held(forked: bool) -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back meanwhile, here and in processes that begin meanwhile.

    A process that begins cannot ignore signals from its first moment on. It holds them back
    until it calls :func:`follow_parent`; what came before is then ignored. Windows has no such
    thing, and its processes begin without.

    Args:
        forked: whether the processes are forks of this one, or new interpreters.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    if not forked:
        # It begins with the first new interpreter, and then lets signals through again.
        resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def follow_parent(parent: int) -> None:
    """Leave Ctrl-C and SIGTERM to the process ``parent``, and end when it is gone.

    A terminal sends Ctrl-C to every process of its group, and so does whoever ends a job by
    SIGTERM. The parent tells its workers to stop, so that they can save.
    """
    _follow(parent, os.getpid())


@functools.cache
def _follow(parent: int, own: int) -> None:
    # What is remembered goes on into a fork, which has another id.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os._exit(1)
