"""The network of the degraded input: the identity."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.method import Batch, BuildContext


class DegradedInput(nn.Module):
    """Returns its input."""

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Return ``degraded`` (N, 3, H, W) unchanged."""
        return degraded

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Raise: there is nothing to train."""
        raise NotImplementedError("the degraded input is not trained")


def build(context: BuildContext) -> DegradedInput:
    """Build the identity; there are no options."""
    return DegradedInput()
