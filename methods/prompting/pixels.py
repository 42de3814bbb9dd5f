"""Pixels as the space in which restorations are compared."""

from __future__ import annotations

from torch import Tensor, nn


class Pixels(nn.Module):
    """The image itself."""

    weights = (1.0,)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return [(N, 3, H, W)]."""
        return [image]
