"""The bundle that MoCE-IR's encoder hands to its decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """The encoder's outputs, the padded input and the size to crop the result to.

    Attributes:
        image: (N, 3, H, W), padded.
        level1: (N, C, H, W), output of the encoder at full resolution.
        level2: (N, 2C, H/2, W/2).
        level3: (N, 4C, H/4, W/4).
        latent: (N, 8C, H/8, W/8), output of the deepest blocks.
        noise: (N, decoder blocks, experts) standard normal for the routers, or None.
        height: of the result in pixels.
        width: of the result in pixels.
    """

    image: Tensor
    level1: Tensor
    level2: Tensor
    level3: Tensor
    latent: Tensor
    noise: Tensor | None
    height: int
    width: int

    def repeat(self, count: int) -> Features:
        """Return the batch ``count`` times over, in turn."""
        return self._changed(lambda tensor: torch.cat([tensor] * count))

    def detach(self) -> Features:
        """Return the same values, through which no gradient flows."""
        return self._changed(Tensor.detach)

    def maps(self) -> list[Tensor]:
        """Return the encoder's outputs, from its first level to the latent."""
        return [self.level1, self.level2, self.level3, self.latent]

    def _changed(self, change: Callable[[Tensor], Tensor]) -> Features:
        """Return the features with each tensor changed."""
        tensors: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                tensors[field.name] = change(value)
        return replace(self, **tensors)
