"""The processes that compute one run together, each on a device of its own.

``torchrun`` starts them and numbers them; :mod:`harness.training.distributed` lets them exchange
values. A process that computes alone is the first of one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from harness.config.errors import HarnessError, UsageError

T = TypeVar("T")


def _alone(value: Any) -> list[Any]:
    """Return what a single process exchanges with itself."""
    return [value]


def _raise(message: str) -> NoReturn:
    raise HarnessError(message)


@dataclass(frozen=True)
class Ranks:
    """What one process knows of those that compute the same run.

    Attributes:
        rank: the number of this process, from 0; the first one writes all files of the run.
        count: how many processes there are.
        backend: what reduces gradients, ``gloo`` or ``nccl``; empty in a single process.
        exchange: takes a value of each process, and returns those of all in the order of ranks.
        fail: ends this process, and with it the others, with one sentence.
    """

    rank: int = 0
    count: int = 1
    backend: str = ""
    exchange: Callable[[Any], list[Any]] = _alone
    fail: Callable[[str], NoReturn] = _raise

    @property
    def is_first(self) -> bool:
        """Return whether this process writes."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Return whether there is no other process."""
        return self.count == 1

    def first(self, compute: Callable[[], T]) -> T:
        """Let the first process compute a value, and return it, or raise its error, in all.

        Raises:
            HarnessError: what the first process raised.
        """
        if self.alone:
            return compute()
        value: Any = None
        error: HarnessError | None = None
        if self.is_first:
            try:
                value = compute()
            except HarnessError as raised:
                error = raised
        value, found = self.exchange((value, error))[0]
        if found is not None:
            error = error or found
            error.raised_by_all = True
            raise error
        result: T = value
        return result

    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is true in any of the processes."""
        return any(self.exchange(flag))

    def share(self, count: int) -> range:
        """Return which of ``count`` items are this process's: consecutive ones.

        Where they cannot be shared out evenly, the first processes have one more.
        """
        least, more = divmod(count, self.count)
        begin = self.rank * least + min(self.rank, more)
        return range(begin, begin + least + (self.rank < more))

    def merged(self, items: Sequence[tuple[int, T]]) -> list[T]:
        """Return the values of all processes, in the order of their numbers."""
        numbered: list[tuple[int, T]] = []
        for of_rank in self.exchange(list(items)):
            numbered += of_rank
        numbered.sort(key=lambda item: item[0])
        return [value for _, value in numbered]


ALONE = Ranks()
"""A process that computes alone."""


def rank_of_environment() -> int:
    """Return the number that ``torchrun`` gave this process; 0 without it."""
    return _number("RANK") if is_joint() else 0


def ranks_of_environment() -> int:
    """Return how many processes ``torchrun`` started for one run; 1 without it."""
    return _number("WORLD_SIZE") if is_joint() else 1


def local_rank() -> int:
    """Return the number of this process on its machine, which is that of its device."""
    return _number("LOCAL_RANK") if is_joint() else 0


def is_joint() -> bool:
    """Return whether ``torchrun`` started this process and others; a batch system sets less."""
    return "TORCHELASTIC_RUN_ID" in os.environ and _number("WORLD_SIZE") > 1


def check_alone(command: str) -> None:
    """Refuse, where ``torchrun`` started several processes, a command that is not for them.

    Raises:
        UsageError: names the command and the way out.
    """
    if is_joint():
        refused = UsageError(
            f"{command} computes many short runs, and torchrun starts several processes for one; "
            f"start {command} without torchrun, or use run or exec under it"
        )
        refused.raised_by_all = True
        raise refused


def _number(name: str) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() else 0
