"""The memory that restoring an image takes, estimated before it is restored.

An image that does not fit would have the system swap for minutes and then end the process. What a
network needs grows with the pixels of its input, so it is measured on two small crops.
"""

from __future__ import annotations

import math
import mmap
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: PLC2701 - its documented place

from harness.config.errors import RunError
from harness.data.images.arrays import Float

_ALWAYS_FITS_PX = 2**20
"""Images of fewer pixels are not asked about."""

_CROPS_PX = (256, 512)  # networks have other paths for smaller images
_METRICS_BYTES_PER_PX = 150
"""Images and what PSNR and SSIM need in float64, measured."""

_WORKSPACE = 2.0
"""What a process takes for tensors and inside operators, relative to the tensors of the two small
crops; measured with benchmarks/tiling.py."""
_IMAGE_BYTES_PER_PX = 36
"""Float images before and after the network."""

_SHARES = {"cpu": 0.5, "cuda": 0.9}
"""Share of the free memory that one image may take; the rest is other programs'."""

Restore = Callable[[Float], object]
"""Restores one image (H, W, 3)."""


@dataclass
class MemoryGuard:
    """Refuses images whose restoration does not fit into memory.

    Attributes:
        device: where the method computes.
        free_bytes: returns the memory that is free; None where it is not known.
        bytes_per_px: what the method needs for each pixel; measured when it is first asked for.
    """

    device: torch.device
    free_bytes: Callable[[], int | None]
    bytes_per_px: float | None = None

    @classmethod
    def of(cls, device: torch.device) -> MemoryGuard:
        """Return the guard of a device's memory."""
        return cls(device, lambda: free_bytes(device))

    def check(self, image: Float, name: str, restore: Restore) -> None:
        """Refuse ``image`` if restoring it takes too much.

        Raises:
            RunError: names the image, its size, what it takes and the way out.
        """
        height, width = image.shape[:2]
        free = self.free_bytes() if height * width >= _ALWAYS_FITS_PX else None
        if free is None:
            return
        if self.bytes_per_px is None:
            self.bytes_per_px = bytes_per_px(image, restore)
        needed = (self.bytes_per_px + _METRICS_BYTES_PER_PX) * height * width
        if needed <= _SHARES.get(self.device.type, 1.0) * free:
            return
        reason = f"about {needed / 1e9:.1f} GB, too much where {free / 1e9:.1f} GB are free"
        raise RunError(no_memory_for(image, name, reason))


def no_memory_for(image: Float, name: str, reason: str) -> str:
    """Return the sentence on an image that does not fit into memory: what is wrong, the way out."""
    height, width = image.shape[:2]
    return (
        f"image {name} has {width}x{height} pixels and takes more memory to restore than there is "
        f"({reason}); restore large images in tiles with --tile-large-images, test the centre of "
        "each image alone, with test.centre_px in a recipe of your own (--recipe FILE), or use "
        "another --device"
    )


def bytes_per_px(image: Float, restore: Restore) -> float:
    """Return the bytes by which the tensors of a restoration grow with each pixel."""
    height, width = image.shape[:2]
    peaks: list[int] = []
    for side in _CROPS_PX:
        # Of an image that is smaller than the crop, rows and columns begin anew.
        rows, columns = np.arange(side) % height, np.arange(side) % width
        crop = image[rows[:, None], columns]
        with _LiveTensors() as live:
            restore(crop)
        peaks.append(live.peak)
    small, large = _CROPS_PX
    grown: float = (peaks[1] - peaks[0]) / (large**2 - small**2)
    return max(0.0, grown)


@dataclass
class MemoryBudget:
    """What restoring one image may take, and how large its tiles may be for that.

    Attributes:
        device: where the method computes.
        allowed_bytes: of memory: of the whole process on a CPU, of tensors elsewhere; None takes
            a share of what is free.
        bytes_per_px: what the method needs for each pixel; measured when it is first asked for.
    """

    device: torch.device
    allowed_bytes: int | None = None
    bytes_per_px: float | None = None

    def pixels(
        self, sample: Float, restore: Restore, held_bytes: int, row_bytes: int
    ) -> int | None:
        """Return how many pixels may be restored at once, None where no limit is known.

        Args:
            sample: part of an image, from which the need for each pixel is measured.
            restore: restores one image.
            held_bytes: what else will be in memory meanwhile, and is not there yet.
            row_bytes: what is in memory in addition for each row of a square tile.

        Raises:
            RunError: what is allowed is taken already.
        """
        if self.bytes_per_px is None:
            self.bytes_per_px = bytes_per_px(sample, restore)
        allowed = self._allowed(held_bytes)
        if allowed is None:
            return None
        if allowed <= 0:
            raise RunError(
                f"--memory {(self.allowed_bytes or 0) / 1e9:g} is less than program and image take "
                "before anything is restored; allow more"
            )
        # The side of the tile solves per_px * side^2 + row_bytes * side = allowed.
        per_px = self.bytes_per_px * _WORKSPACE + _IMAGE_BYTES_PER_PX
        half = row_bytes / (2 * per_px)
        side = math.sqrt(half**2 + allowed / per_px) - half
        return int(side**2)

    def _allowed(self, held_bytes: int) -> float | None:
        on_cpu = self.device.type == "cpu"
        if self.allowed_bytes is not None:
            taken = resident_bytes() + held_bytes if on_cpu else 0
            return self.allowed_bytes - taken
        free = free_bytes(self.device)
        if free is None:
            return None
        return _SHARES.get(self.device.type, 1.0) * free - (held_bytes if on_cpu else 0)


def resident_bytes() -> int:
    """Return what this process holds of the machine's memory; 0 where the system keeps no count."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    except (OSError, ValueError, IndexError):  # not Linux
        return 0
    return pages * mmap.PAGESIZE


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of a device, or None where it is not known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = [_available(Path("/proc/meminfo")), _left_in_container(Path("/sys/fs/cgroup"))]
    known = [value for value in found if value is not None]
    return min(known, default=None)


def _available(path: Path) -> int | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _left_in_container(folder: Path) -> int | None:
    """Return what a container's limit leaves; files in the cache count as free."""
    try:
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        lines = (folder / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # no container, or no limit
        return None
    for line in lines:
        if line.startswith("inactive_file "):
            used -= int(line.split()[1])
    return max(0, limit - used)


class _LiveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that exist at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, list | tuple) else [found]:
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return found

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._release, key, size)

    def _release(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size
