"""The loss of a restored image that a network with prompts is trained with."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from harness.method import HasReconstructionLosses


def reconstruction_losses(network: Any, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
    """Return the terms that ``network`` compares images (N, 3, H, W) by: its own, else L1."""
    if isinstance(network, HasReconstructionLosses):
        return network.reconstruction_losses(restored, clean)
    return {"l1": F.l1_loss(restored, clean)}
