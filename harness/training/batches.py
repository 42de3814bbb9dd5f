"""Training batches in the order of their steps, made ahead of the step that needs them.

A batch is a function of its step alone, so whoever makes it, and when, changes nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

from torch.utils.data import DataLoader, Dataset

from harness.config.errors import HarnessError
from harness.data.sources.protocol import TrainingStream
from harness.data.sources.samples import Samples
from harness.training.child_process import follow_parent, signals_held

_DEAD_WORKER = "DataLoader worker (pid"
"""How torch begins the message on a worker that is gone."""
_AHEAD = 2
"""Batches that a thread makes ahead: one that is late does not stop the step."""


class _Steps(Dataset[Samples | HarnessError]):
    """The batches of a stream from step ``first`` on, or ``slots`` of them, by index.

    An expected error is an item as well: raised in a worker, torch would add its traceback.
    """

    def __init__(self, stream: TrainingStream, first: int, slots: range | None) -> None:
        self.stream, self.first, self.slots = stream, first, slots

    def __len__(self) -> int:
        return self.stream.train.steps - self.first

    def __getitem__(self, index: int) -> Samples | HarnessError:
        try:
            if self.slots is None:
                return self.stream.batch(self.first + index)
            return self.stream.batch(self.first + index, self.slots)
        except HarnessError as error:
            return error


def batches(
    stream: TrainingStream, first: int, loader_workers: int | None, slots: range | None = None
) -> Generator[Samples, None, None]:
    """Yield batches from step ``first`` on, in order, whoever makes them.

    Args:
        stream: what makes a batch.
        first: the first step.
        loader_workers: processes that make batches ahead; 0 makes each when it is asked for, and
            None has a thread of this process make them ahead.
        slots: the samples of each that are made; None makes all.

    Raises:
        HarnessError: a batch cannot be made.
        RuntimeError: a worker is gone; see :func:`is_dead_worker`.
    """
    steps = _Steps(stream, first, slots)
    items = _by_thread(steps) if loader_workers is None else _items(steps, loader_workers)
    with closing(items):
        for item in items:
            if isinstance(item, HarnessError):
                raise item
            yield item


def is_dead_worker(error: RuntimeError) -> bool:
    """Return whether torch raised ``error`` because a loader worker is gone.

    It does so wherever the training is at that moment, in the middle of a step as well.
    """
    return str(error).startswith(_DEAD_WORKER)


def _by_thread(steps: _Steps) -> Generator[Samples | HarnessError, None, None]:
    """Yield items that a thread makes ahead; it has ended when this generator has."""
    maker = ThreadPoolExecutor(1, thread_name_prefix="batches")
    made: deque[Future[Samples | HarnessError]] = deque()
    try:
        for index in range(len(steps)):
            made.append(maker.submit(steps.__getitem__, index))
            if len(made) > _AHEAD:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()
    finally:
        for future in made:
            future.cancel()
        maker.shutdown()


def _items(steps: _Steps, loader_workers: int) -> Generator[Samples | HarnessError, None, None]:
    method = _start_method()
    with warnings.catch_warnings():
        # torch advises on the number of workers, which is the person's to choose.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        loader = DataLoader(
            steps,
            batch_size=None,
            num_workers=loader_workers,
            collate_fn=_unchanged,
            worker_init_fn=partial(_begin_worker, os.getpid()),
            multiprocessing_context=method if loader_workers else None,
        )
        with signals_held(forked=method == "fork" or not loader_workers):
            items = iter(loader)
    yield from items


def _start_method() -> str:
    """Return how workers begin: the system's own way where this process has one of joblib's."""
    known = multiprocessing.get_all_start_methods()
    current = multiprocessing.get_start_method()
    return current if current in known else known[0]


def _begin_worker(parent: int, number: int) -> None:
    follow_parent(parent)


def _unchanged(samples: Any) -> Any:
    return samples
