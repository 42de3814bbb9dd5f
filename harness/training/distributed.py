"""Several processes that train one network together, each on a device of its own.

``torchrun`` starts them. Gradients are reduced by torch's DistributedDataParallel, over gloo on
processors and NCCL on GPUs; everything else goes through gloo: losses, what batches gather, and
whether to stop.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from harness.config.ranks import Ranks, rank_of_environment, ranks_of_environment
from harness.method import Batch, Method

_LONGEST = timedelta(days=7)
"""How long a process waits for the others: one that is gone is noticed otherwise, and sooner."""
_BEAT_S = 2.0
_SILENT_S = 20.0
_LOST_SIGNS = ("connection closed by peer", "connection reset", "gloo", "nccl", "broken pipe")
"""What torch writes, in lower case, where another process is gone."""

_joined = 0


def is_lost_rank(error: RuntimeError) -> bool:
    """Return whether torch raised ``error`` because another process of the run is gone."""
    text = str(error).lower()
    return any(sign in text for sign in _LOST_SIGNS)


def lost(count: int) -> str:
    """Return the sentence on a process that is gone, of ``count``."""
    return (
        f"another of the {count} processes that compute this run is gone, so all end; run the same "
        "command again, and it goes on from the last checkpoint"
    )


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` started with this one, until the block ends.

    Args:
        device: what this process computes on; all processes have devices of one type.
    """
    global _joined
    _joined += 1
    rank, count = rank_of_environment(), ranks_of_environment()
    backend = "nccl" if torch.device(device).type == "cuda" else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(device)
    dist.init_process_group(backend, timeout=_LONGEST)
    group = dist.new_group(backend="gloo", timeout=_LONGEST)
    fail = partial(_fail, _store())
    exchange = partial(_exchange, group, count, fail)
    heartbeat = _Heartbeat(rank, count, fail)
    heartbeat.store.set(f"beat{rank}", "0")
    exchange(None)
    heartbeat.start()
    try:
        yield Ranks(rank, count, backend, exchange, fail)
        exchange(None)
    finally:
        heartbeat.ended.set()
        dist.destroy_process_group()


def _store() -> Any:
    """Return a connection to what torchrun keeps for all processes, under names of our own."""
    port = int(os.environ["MASTER_PORT"])
    address = os.environ["MASTER_ADDR"]
    stores: Any = dist  # its type stubs leave both classes out
    store = stores.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=_SILENT_S))
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return stores.PrefixStore(f"harness/{restart}/{_joined}", store)


def _exchange(group: Any, count: int, fail: Callable[[str], NoReturn], value: Any) -> list[Any]:
    """Return the values of all processes in the order of ranks."""
    found: list[Any] = [None] * count
    try:
        dist.all_gather_object(found, value, group=group)
    except RuntimeError as error:
        if not is_lost_rank(error):
            raise
        fail(lost(count))
    return found


def _fail(store: Any, message: str) -> NoReturn:
    """End this process; of all that end so, the first prints why.

    The others wait for this one inside of torch, where no exception reaches them. They notice that
    it is gone, and end as well.
    """
    try:
        prints = store.add("failed", 1) == 1
    except RuntimeError:  # torchrun itself is gone
        prints = True
    if prints:
        print(f"harness: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class _Heartbeat(threading.Thread):
    """Tells the others that this process lives, and ends it when one of them does not.

    The end of a process on the same network is noticed at once by those that wait for it. This is
    for machines that vanish, and for processes that stand still.
    """

    def __init__(self, rank: int, count: int, fail: Callable[[str], NoReturn]) -> None:
        super().__init__(daemon=True)
        self.rank, self.count, self.fail = rank, count, fail
        self.store = _store()
        self.ended = threading.Event()

    def run(self) -> None:
        """Beat until :attr:`ended`."""
        beats = 0
        heard = {rank: ("", time.monotonic()) for rank in range(self.count)}
        while not self.ended.wait(_BEAT_S):
            beats += 1
            try:
                self._beat(beats, heard)
            except RuntimeError:
                if not self.ended.is_set():
                    self.fail(lost(self.count))

    def _beat(self, beats: int, heard: dict[int, tuple[str, float]]) -> None:
        self.store.set(f"beat{self.rank}", str(beats))
        now = time.monotonic()
        for rank, (before, since) in heard.items():
            beat = self.store.get(f"beat{rank}").decode()
            if beat != before:
                heard[rank] = (beat, now)
            elif now - since > _SILENT_S and not self.ended.is_set():
                self.fail(
                    f"process {rank} of {self.count} that compute this run has not been heard of "
                    f"for {_SILENT_S:.0f} s, so all end; run the same command again, and it goes "
                    "on from the last checkpoint"
                )


class Losses(nn.Module):
    """The losses of a method as one module, whose forward is what data-parallel training wraps.

    Args:
        method: its parameters are on their device.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = cast(nn.Module, method)
        # Part of every loss, with factor 0: a process without a micro-batch has gradients to wait
        # for as well, and none of them is that of a parameter of the method.
        device = next(method.parameters()).device
        self.joined = nn.Parameter(torch.zeros((), device=device))
        # Never part of a loss: where all parameters are, torch prints advice against looking.
        self.unused = nn.Parameter(torch.zeros((), device=device))

    def forward(
        self, batch: Batch | None, rng: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the total of the loss terms of a micro-batch, and the terms without gradient."""
        nothing = 0 * self.joined
        if batch is None:
            return nothing, {}
        terms = self.method.losses(batch, rng)  # type: ignore[operator]
        total = torch.stack([term.float() for term in terms.values()]).sum()
        return total + nothing, {name: term.detach() for name, term in terms.items()}


class SharedLosses:
    """The losses of a method whose gradients are reduced over all processes.

    Buffers are left alone: what batches gather in them is reduced by
    :mod:`harness.training.gathered_state`.

    Args:
        method: its parameters are on their device; all processes get those of the first.
        ranks: the processes.
    """

    def __init__(self, method: Method, ranks: Ranks) -> None:
        self.ranks = ranks
        with warnings.catch_warnings():
            # The newest torch has another name for it, which older ones do not know.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
            # Which parameters a loss reaches depends on the stage, and on what a router chooses.
            self.wrapped = DistributedDataParallel(
                Losses(method), broadcast_buffers=False, find_unused_parameters=True
            )

    def __call__(
        self, batch: Batch | None, rng: torch.Generator | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return total and terms of a micro-batch; of None, a total that has no gradient."""
        total, terms = self.wrapped(batch, rng)
        return total, terms

    def reducing(self, is_last: bool) -> AbstractContextManager[None]:
        """Return what surrounds forward and backward; the last micro-batch reduces gradients."""
        return nullcontext() if is_last else self.wrapped.no_sync()

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss``, so that over all processes they are those of the sum."""
        # DistributedDataParallel returns the mean over processes.
        (loss * self.ranks.count).backward()  # type: ignore[no-untyped-call]
