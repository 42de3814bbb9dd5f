"""What a module keeps of batches until the end of a step, for the state that follows from it."""

from __future__ import annotations

from torch import Tensor


class BatchRows:
    """Rows of samples, by the number of the call that kept them within a micro-batch."""

    def __init__(self) -> None:
        self.kept: dict[str, Tensor] = {}

    def add(self, rows: Tensor) -> None:
        """Keep the rows (N, ...) of one call, without gradient."""
        self.kept[str(len(self.kept))] = rows.detach()

    def take(self) -> dict[str, Tensor]:
        """Return the rows of each call, and forget them."""
        kept, self.kept = self.kept, {}
        return kept
