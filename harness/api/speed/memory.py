"""How much memory a piece of work adds to what its process, or its GPU, held before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class AddedMemory:
    """What was held when the work was ready.

    Attributes:
        before: bytes; None where the system keeps no count.
        on_gpu: whether torch's tensors on a GPU count, and not the process.
    """

    before: int | None
    on_gpu: bool = False

    @classmethod
    def of(cls, device: str) -> AddedMemory:
        """Start the peak at what is held now."""
        if device != "cpu":
            import torch

            torch.cuda.reset_peak_memory_stats()
            return cls(torch.cuda.memory_allocated(), on_gpu=True)
        try:
            _RESET.write_text("5", encoding="utf-8")
        except OSError:  # not Linux, or a container that forbids it
            return cls(None)
        return cls(_resident("VmRSS"))

    def added(self) -> int | None:
        """Return by how many bytes the peak exceeds what was held."""
        if self.before is None:
            return None
        if self.on_gpu:
            import torch

            return int(torch.cuda.max_memory_allocated()) - self.before
        peak = _resident("VmHWM")
        return None if peak is None else max(0, peak - self.before)


def _resident(field: str) -> int | None:
    """Return VmRSS (resident) or VmHWM (its peak) of this process."""
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return None
