"""What a network does with test images: the prompts each receives, and others forced on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.sources.samples import Pair
from harness.evaluation.metrics.psnr import psnr_rgb
from harness.evaluation.probes.definitions import NO_EXPERT
from harness.evaluation.restore import clamped, to_batch
from harness.method import Decoded, HasRoutingVariants, Override, Prompted, RoutingVariant
from harness.store.prompt_files import BEST_PROMPT

Float = NDArray[np.float64]

_ROUNDING_DB = 1e-3
"""Difference below which a forced prompt counts as the one that was selected anyway."""


@dataclass(frozen=True)
class Observed:
    """One test image under the prompts that the method selects for it.

    Attributes:
        pair: degraded and clean.
        weights: level -> weights (1, prompts).
        psnr_db: of the restored image.
        chosen: index of the prompt that something other than a router chose, else None.
        probabilities: level -> the router's softmax (1, prompts); empty where no router chose.
        variant_psnr_db: PSNR under each variant of routing that changes the image's weights, and
            under the best prompt, where another is better than those that were selected.
    """

    pair: Pair
    weights: dict[str, Tensor]
    psnr_db: float
    chosen: int | None
    probabilities: Mapping[str, Tensor] = field(default_factory=dict)
    variant_psnr_db: Mapping[str, float] = field(default_factory=dict)

    def psnr_db_by(self, variant: str) -> float:
        """Return PSNR under a variant of routing: that of training where it changes no weight."""
        return self.variant_psnr_db.get(variant, self.psnr_db)

    def expert(self, level: str) -> int:
        """Return the prompt with the largest weight; ``NO_EXPERT`` if weights are not finite."""
        if not torch.isfinite(self.weights[level]).all():
            return NO_EXPERT
        return int(self.weights[level].argmax())

    def one_hot(self, prompt: int) -> dict[str, Tensor]:
        """Return the override that forces one prompt at every level."""
        forced = {}
        for level, weights in self.weights.items():
            forced[level] = torch.eye(weights.shape[-1])[[prompt]]
        return forced

    def alone(self, prompt: int) -> dict[str, Tensor]:
        """Return the override that gives one prompt all of the image's weight at every level."""
        forced = {}
        for level, weights in self.weights.items():
            forced[level] = self.one_hot(prompt)[level] * weights.sum(dim=-1, keepdim=True)
        return forced

    @property
    def input_psnr_db(self) -> float:
        """PSNR of the degraded image."""
        return psnr_rgb(self.pair.degraded, self.pair.clean)


@dataclass(frozen=True)
class ObservedColumn:
    """The observed images of one column of a test set.

    Attributes:
        name: name of the column.
        task: its task.
        family: family of the task.
        images: at least one.
    """

    name: str
    task: str
    family: str
    images: Sequence[Observed]

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels of the network, from the deepest up."""
        return tuple(self.images[0].weights)

    @property
    def psnr_db(self) -> float:
        """Mean PSNR of the restored images."""
        return float(np.mean([image.psnr_db for image in self.images]))

    @property
    def input_psnr_db(self) -> float:
        """Mean PSNR of the degraded images."""
        return float(np.mean([image.input_psnr_db for image in self.images]))

    def weights(self, level: str) -> NDArray[np.float32]:
        """Return the prompt weights of a level, (images, prompts)."""
        return np.stack([image.weights[level][0].numpy() for image in self.images])

    def shares(self, level: str) -> Float:
        """Return (images, prompts): the share of each prompt in the weights of an image."""
        weights = self.weights(level).astype(float)
        shares: Float = weights / weights.sum(axis=1, keepdims=True)
        return shares

    def expert_load(self, level: str) -> Float:
        """Return (prompts,): the mean share of each prompt."""
        load: Float = self.shares(level).mean(axis=0)
        return load


@dataclass(frozen=True)
class Observer:
    """A trained method in evaluation mode, and whether the true task is an input of it."""

    method: Prompted
    needs_task_labels: bool
    device: torch.device

    @property
    def variants(self) -> tuple[RoutingVariant, ...]:
        """Other ways in which the method can route; none where it offers none."""
        method = self.method
        return method.routing_variants() if isinstance(method, HasRoutingVariants) else ()

    @torch.no_grad()
    def observe(self, pair: Pair, varied: bool = False) -> Observed:
        """Restore a pair's degraded image under the prompts that the method selects.

        Where ``varied``, it is also restored under each variant of routing, and under each prompt
        alone.
        """
        image = to_batch(pair.degraded, self.device)
        labels = (pair.task,) if self.needs_task_labels else None
        forced = self.method.choose(image, labels)
        features = self.method.encode(image)
        decoded = self.method.decode(features, forced)
        chosen = None if forced is None else int(next(iter(forced.values())).argmax())
        weights, probabilities = {}, {}
        for level, routing in decoded.routing.items():
            weights[level] = routing.weights.float().cpu()
            if routing.probabilities is not None:
                probabilities[level] = routing.probabilities.float().cpu()
        psnr_db = _psnr_db(decoded.restored, pair)
        observed = Observed(pair, weights, psnr_db, chosen, probabilities)
        if not varied or forced is not None or not self.variants:
            return observed
        others = self._variant_psnr_db(features, decoded, pair)
        best_db = self._best_prompt_db(features, observed)
        if best_db > psnr_db + _ROUNDING_DB:
            others[BEST_PROMPT] = best_db
        return replace(observed, variant_psnr_db=others)

    @torch.no_grad()
    def psnr_under(self, pair: Pair, overrides: Sequence[Override]) -> list[float]:
        """Return PSNR of the pair's image restored under each of ``overrides``, dB."""
        features = self.method.encode(to_batch(pair.degraded, self.device))
        return self._psnr_under(features, pair, overrides)

    def _psnr_under(self, features: Any, pair: Pair, overrides: Sequence[Override]) -> list[float]:
        values = []
        for override in overrides:
            forced = {level: weights.to(self.device) for level, weights in override.items()}
            values.append(_psnr_db(self.method.decode(features, forced).restored, pair))
        return values

    def _variant_psnr_db(self, features: Any, trained: Decoded, pair: Pair) -> dict[str, float]:
        """Return PSNR under each variant that changes a weight of the image at some level."""
        method = self.method
        if not isinstance(method, HasRoutingVariants):
            return {}
        found = {}
        for variant in method.routing_variants():
            # A level sees what the deeper ones did, so nothing changes only if all keep theirs.
            if not all(map(variant.keeps, trained.routing.values())):
                decoded = method.decode_variant(features, variant)
                found[variant.name] = _psnr_db(decoded.restored, pair)
        return found

    def _best_prompt_db(self, features: Any, observed: Observed) -> float:
        """Return PSNR under the best of all prompts, each alone and the same at every level."""
        overrides = [observed.alone(prompt) for prompt in range(self.method.prompts)]
        return max(self._psnr_under(features, observed.pair, overrides))

    def bank(self, level: str) -> Float:
        """Return the prompts of a level, (prompts, C, H, W)."""
        bank: Float = self.method.prompt_bank(level).detach().double().cpu().numpy()
        return bank


def _psnr_db(restored: Tensor, pair: Pair) -> float:
    image = clamped(restored)[0].cpu().numpy().transpose(1, 2, 0)
    return psnr_rgb(image, pair.clean)
