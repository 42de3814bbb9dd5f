"""The loss of a restored image that a network with prompts is trained with."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Tensor


@runtime_checkable
class HasReconstructionLosses(Protocol):
    """A network whose training compares restored and clean images by more than L1, or otherwise."""

    def reconstruction_losses(self, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """Return named, weighted terms for images (N, 3, H, W)."""
        ...


def reconstruction_losses(network: Any, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
    """Return the terms that ``network`` compares images (N, 3, H, W) by: its own, else L1."""
    if isinstance(network, HasReconstructionLosses):
        return network.reconstruction_losses(restored, clean)
    return {"l1": F.l1_loss(restored, clean)}
