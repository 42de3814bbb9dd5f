"""What a network does with test images: the prompts each receives, and others forced on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.sources.pairs import Pair
from harness.evaluation.metrics.registry import psnr_rgb
from harness.method import Override, Prompted

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """One test image under the prompts that the method gives it.

    Attributes:
        pair: degraded and clean.
        weights: level -> weights (1, prompts).
        psnr_db: of the restored image.
        chosen: index of the prompt that something other than a router chose, else None.
    """

    pair: Pair
    weights: dict[str, Tensor]
    psnr_db: float
    chosen: int | None

    def expert(self, level: str) -> int:
        """Return the prompt with the largest weight."""
        return int(self.weights[level].argmax())

    @property
    def input_psnr_db(self) -> float:
        """PSNR of the degraded image."""
        return psnr_rgb(self.pair.degraded, self.pair.clean)


@dataclass(frozen=True)
class Observer:
    """A trained method in evaluation mode, and whether it is told the true task."""

    method: Prompted
    needs_task_labels: bool
    device: torch.device

    @torch.no_grad()
    def observe(self, pair: Pair) -> Observed:
        """Restore a pair's degraded image under the method's own choice."""
        image = self._tensor(pair)
        told = (pair.task,) if self.needs_task_labels else None
        forced = self.method.choose(image, told)
        decoded = self.method.decode(self.method.encode(image), forced)
        chosen = None if forced is None else int(next(iter(forced.values())).argmax())
        return Observed(
            pair=pair,
            weights={level: r.weights.float().cpu() for level, r in decoded.routing.items()},
            psnr_db=_psnr_db(decoded.restored, pair),
            chosen=chosen,
        )

    @torch.no_grad()
    def under(self, pair: Pair, overrides: Sequence[Override]) -> list[float]:
        """Return PSNR of the pair's image restored under each of ``overrides``, dB."""
        features = self.method.encode(self._tensor(pair))
        placed = ({k: w.to(self.device) for k, w in forced.items()} for forced in overrides)
        return [_psnr_db(self.method.decode(features, forced).restored, pair) for forced in placed]

    def bank(self, level: str) -> Float:
        """Return the prompts of a level, (prompts, C, H, W)."""
        bank: Float = self.method.prompt_bank(level).detach().double().cpu().numpy()
        return bank

    def _tensor(self, pair: Pair) -> Tensor:
        planes = np.ascontiguousarray(pair.degraded.transpose(2, 0, 1)[None])
        return torch.from_numpy(planes).to(self.device)


def _psnr_db(restored: Tensor, pair: Pair) -> float:
    image = restored[0].float().clamp(0, 1).cpu().numpy().transpose(1, 2, 0)
    return psnr_rgb(image, pair.clean)
