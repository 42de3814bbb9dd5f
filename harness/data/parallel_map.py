"""Work on many files, several at a time, in threads: decoding and hashing release the lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

OnProgress = Callable[[int, int], None]
"""Receives how many items are done, of how many."""


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


def map_files(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    on_progress: OnProgress = no_progress,
    threads: int | None = None,
) -> list[Result]:
    """Return ``work`` of every item in their order; few items are queued at a time.

    An exception, Ctrl-C too, cancels what has not begun and is raised.
    """
    count = threads or min(16, (os.cpu_count() or 1) + 1)
    results: dict[int, Result] = {}
    running: dict[Future[Result], int] = {}
    rest = iter(enumerate(items))
    with ThreadPoolExecutor(count, thread_name_prefix="files") as pool:
        try:
            while True:
                while len(running) < 2 * count and (entry := next(rest, None)) is not None:
                    running[pool.submit(work, entry[1])] = entry[0]
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    results[running.pop(future)] = future.result()
                on_progress(len(results), len(items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[number] for number in range(len(items))]
