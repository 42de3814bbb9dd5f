"""What a computing process sets once for speed; nothing here is meant to change a number."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from harness.config.cores import cores
from harness.config.errors import UsageError
from harness.config.ranks import ALONE, Ranks, local_rank, ranks_of_environment
from harness.execution.trackers import NO_TRACKER, check_tracker
from harness.planning.request import Resources

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
_RETURNED = 2**20  # bytes from which a freed block goes back to the system at once
_LARGEST = (2**30, 2**25)  # older versions refuse more than 32 MiB


@dataclass(frozen=True)
class Worker:
    """What one computing process may use.

    Attributes:
        device: a torch device.
        threads: compute threads.
        jobs: processes like this one side by side.
        loader_workers: processes that make training batches ahead; 0 makes them in the step, and
            None has a thread make them ahead.
        resources: what was asked for, which launchers for other machines pass on.
        tracker: who is shown the course of each run.
        ranks: the processes that compute the same run, if ``torchrun`` started several.
    """

    device: str
    threads: int
    jobs: int = 1
    loader_workers: int | None = None
    resources: Resources = field(default_factory=Resources)
    tracker: str = NO_TRACKER
    ranks: Ranks = ALONE


def worker_of(resources: Resources, here: bool = True) -> Worker:
    """Return what each of the processes may use that share ``resources``.

    Args:
        resources: what was asked for.
        here: whether they are processes of this machine; the device of another one is checked
            there.

    Raises:
        UsageError: the device or the tracker cannot be used.
    """
    check_tracker(resources.tracker)
    jobs = resources.jobs or cores()
    return Worker(
        device=usable_device(resources.device) if here else resources.device,
        threads=resources.threads or _threads_of_environment() or max(1, cores() // jobs),
        jobs=jobs,
        loader_workers=resources.loader_workers,
        resources=resources,
        tracker=resources.tracker,
    )


@contextmanager
def joined_worker(resources: Resources, here: bool = True) -> Iterator[Worker]:
    """Yield what this process may use, joined with the others that ``torchrun`` started.

    Args:
        resources: what was asked for.
        here: whether this process computes, and not those of another machine.

    Raises:
        UsageError: the device cannot be used, or runs are asked for side by side or elsewhere.
    """
    if ranks_of_environment() == 1:
        yield worker_of(resources, here)
        return
    check_joint(resources, here)
    from harness.training.distributed import joined

    worker = worker_of(replace(resources, device=_device_of_rank(resources.device)))
    with joined(worker.device) as ranks:
        yield replace(worker, ranks=ranks)


def check_joint(resources: Resources, here: bool) -> None:
    """Refuse what several processes cannot do that compute each run together.

    Raises:
        UsageError: ``torchrun`` started them, and runs are asked for side by side or elsewhere.
    """
    if ranks_of_environment() == 1:
        return
    refused = None
    if not here:
        refused = UsageError(
            f"--launcher {resources.launcher} hands runs to other processes, and torchrun has "
            "started those that compute; leave --launcher out"
        )
    elif resources.jobs != 1:
        refused = UsageError(
            f"--jobs {resources.jobs} computes several runs side by side, and torchrun one run on "
            "several devices; leave --jobs out"
        )
    if refused is not None:
        refused.raised_by_all = True
        raise refused


def _device_of_rank(name: str) -> str:
    """Return the device of ``--device`` that is this process's: on GPUs, the one of its number.

    Raises:
        UsageError: the machine has fewer GPUs than processes, or one device is named for all.
    """
    device = usable_device(name)
    if device == "cpu":
        return device
    import torch

    if device != "cuda":
        raise UsageError(
            f"--device {name} is one device, and torchrun started several processes; use cuda, "
            "where each process takes the GPU of its number, or cpu"
        )
    if local_rank() >= torch.cuda.device_count():
        raise UsageError(
            f"this machine shows {torch.cuda.device_count()} GPUs, fewer than the processes that "
            "torchrun starts; lower --nproc-per-node"
        )
    return f"cuda:{local_rank()}"


def check_device(resources: Resources) -> None:
    """Refuse a device that cannot be used, before anything is computed.

    Raises:
        UsageError: the device cannot be used; says why.
    """
    if resources.device not in ("cpu", "auto"):
        usable_device(resources.device)


def _threads_of_environment() -> int | None:
    """Return what ``OMP_NUM_THREADS`` asks for, if it is a number."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else None


def usable_device(name: str) -> str:
    """Return the device of ``--device``: ``auto`` takes a GPU if there is one.

    Raises:
        UsageError: the device cannot be used; says why.
    """
    if name == "cpu":
        return name
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"--device {name} cannot be used ({reason}); use cpu or auto") from error
    return name


def prepare_process(threads: int) -> None:
    """Pin the compute threads and let the allocator reuse large blocks.

    Every training step asks for the same blocks of many megabytes. By default the C library
    maps each anew and returns it, and the system clears every page again; kept, the blocks
    are reused warm. What this gains is in docs/performance.md.
    """
    import cv2
    import torch

    torch.set_num_threads(threads)
    # Images are scored side by side, one thread each.
    cv2.setNumThreads(1)
    if sys.platform == "linux":
        keep_freed_memory()


def keep_freed_memory() -> bool:
    """Have the GNU C library keep large freed blocks; return whether it agreed."""
    agreed = any(_set_allocator(_M_MMAP_THRESHOLD, size) for size in _LARGEST)
    return agreed and _set_allocator(_M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_memory() -> bool:
    """Have the GNU C library return large freed blocks at once; return whether it agreed.

    Otherwise it raises the size from which it does so to that of the largest block that was ever
    freed, and a process that restores large images holds a quarter more memory than it uses.
    """
    return _set_allocator(_M_MMAP_THRESHOLD, _RETURNED)


def _set_allocator(parameter: int, value: int) -> bool:
    """Set a parameter of the GNU C library's allocator; return whether it agreed."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(parameter, value))
