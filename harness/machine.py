"""What a computing process sets once for speed; nothing here is meant to change a number."""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
_LARGEST = (2**30, 2**25)  # older versions refuse more than 32 MiB


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare_process(threads: int) -> None:
    """Pin the compute threads and let the allocator reuse large blocks.

    Every training step asks for the same blocks of many megabytes. By default the C library
    maps each anew and gives it back, and the system clears every page again; kept, the blocks
    are reused warm. What this gains is in docs/performance.md.
    """
    import cv2
    import torch

    torch.set_num_threads(threads)
    # Images are scored side by side, one thread each.
    cv2.setNumThreads(1)
    if sys.platform == "linux":
        keep_freed_memory()


def computes_bf16(device: str) -> bool:
    """Return whether the device has bfloat16 arithmetic; without, it is emulated, slowly."""
    import torch

    if torch.device(device).type != "cpu":
        return True
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def keep_freed_memory() -> bool:
    """Have the GNU C library keep large freed blocks; return whether it agreed."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    agreed = any(mallopt(_M_MMAP_THRESHOLD, size) for size in _LARGEST)
    return bool(agreed and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
