"""Clocks: the wall clock, and events of a GPU, which runs behind the program."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """Times work."""

    def seconds(self, work: Callable[[], object]) -> float:
        """Do the work, and return the seconds that it took."""
        ...


class WallTimer:
    """The wall clock, for work that is done when its call returns."""

    def seconds(self, work: Callable[[], object]) -> float:
        """Do the work, and return the seconds that it took."""
        began = time.perf_counter()
        work()
        return time.perf_counter() - began


class CudaTimer:
    """Events before and after the work in the queue of a GPU.

    Args:
        cuda: ``torch.cuda``, or what stands in for it in a test.
    """

    def __init__(self, cuda: Any) -> None:
        self.cuda = cuda

    def seconds(self, work: Callable[[], object]) -> float:
        """Queue the work between two events, wait for the second, and return what is between."""
        start = self.cuda.Event(enable_timing=True)
        end = self.cuda.Event(enable_timing=True)
        self.cuda.synchronize()
        start.record()
        work()
        end.record()
        self.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1e3


def timer_of(device: str) -> Timer:
    """Return the timer of a device."""
    if device == "cpu":
        return WallTimer()
    import torch

    return CudaTimer(torch.cuda)
