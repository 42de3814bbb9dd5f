"""PromptIR in general width, split into encoder and decoder so that prompts can be forced.

Follows Potlapalli et al., NeurIPS 2023 (arXiv 2306.13090), repository va1shn9v/PromptIR,
net/model.py, ``decoder=True``. At the published configuration keys, shapes and outputs are
the published ones; the published code works at width 48 alone because some of its channel
counts are literals, which are derived from the width here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext, Decoded, Override, Routing
from methods.blocks import (
    RestormerTrunk,
    TransformerBlock,
    Upsample,
    channels_last,
    conv1x1,
    pad_to_multiple,
)
from methods.contrastive import PromptContrast, frozen
from methods.options import LEVELS, PromptIROptions
from methods.prompts import PromptModule, balance


@dataclass(frozen=True)
class Features:
    """Encoder outputs, the padded input and the size to crop the result to."""

    image: Tensor
    level1: Tensor
    level2: Tensor
    level3: Tensor
    latent: Tensor
    height: int
    width: int

    def repeat(self, times: int) -> Features:
        """Return the batch ``times`` times over, in turn."""
        values = (getattr(self, field.name) for field in fields(self))
        return Features(*(torch.cat([v] * times) if isinstance(v, Tensor) else v for v in values))

    def detach(self) -> Features:
        """Return the same values, through which no gradient flows."""
        values = (getattr(self, field.name) for field in fields(self))
        return Features(*(v.detach() if isinstance(v, Tensor) else v for v in values))


class PromptIR(RestormerTrunk):
    """PromptIR with dense, sparse or forced prompts, trained with L1 and, by choice, CPR.

    Args:
        options: network, prompts and objective.
        tasks: task names; with a forced choice, task i answers to prompt i.
        classifier: frozen module with ``classify``, for ``chooser=classifier``.
    """

    levels = LEVELS

    def __init__(
        self, options: PromptIROptions, tasks: tuple[str, ...], classifier: nn.Module | None = None
    ) -> None:
        super().__init__(options)
        self.options = options
        self.tasks = tasks
        self.prompts = options.prompts
        d, e = options.dim, options.ffn_expansion
        dims = options.prompt_dims
        # The published network gives all three of these blocks the third level's heads.
        heads = options.heads[2]
        self.prompt1 = PromptModule(2 * d, "level1", options)
        self.prompt2 = PromptModule(4 * d, "level2", options)
        self.prompt3 = PromptModule(8 * d, "level3", options)
        self.noise_level3 = TransformerBlock(8 * d + dims["level3"], heads, e)
        self.reduce_noise_level3 = conv1x1(8 * d + dims["level3"], 4 * d)
        self.up4_3 = Upsample(4 * d)
        self.reduce_chan_level3 = conv1x1(6 * d, 4 * d)
        self.noise_level2 = TransformerBlock(4 * d + dims["level2"], heads, e)
        self.reduce_noise_level2 = conv1x1(4 * d + dims["level2"], 4 * d)
        self.noise_level1 = TransformerBlock(2 * d + dims["level1"], heads, e)
        self.reduce_noise_level1 = conv1x1(2 * d + dims["level1"], 2 * d)
        if options.unused_convolutions:
            self._add_unused(d, dims)
        self.classifier = classifier.requires_grad_(False) if classifier is not None else None
        self.contrast = PromptContrast(options) if options.cpr_weight > 0 else None

    def _add_unused(self, d: int, dims: dict[str, int]) -> None:
        """Add the six convolutions that published checkpoints hold and no forward uses."""
        third = dims["level3"] * 4 // 5
        self.chnl_reduce1 = conv1x1(dims["level1"], dims["level1"])
        self.chnl_reduce2 = conv1x1(dims["level2"], dims["level2"])
        self.chnl_reduce3 = conv1x1(dims["level3"], third)
        self.reduce_noise_channel_1 = conv1x1(d + dims["level1"], d)
        self.reduce_noise_channel_2 = conv1x1(2 * d + dims["level2"], 2 * d)
        self.reduce_noise_channel_3 = conv1x1(4 * d + third, 4 * d)

    def train(self, mode: bool = True) -> PromptIR:
        """Set the mode; a frozen classifier stays in evaluation mode."""
        super().train(mode)
        if self.classifier is not None:
            self.classifier.eval()
        return self

    def encode(self, degraded: Tensor) -> Features:
        """Encode (N, 3, H, W) in [0, 1] of any size."""
        image = channels_last(pad_to_multiple(degraded, self.size_multiple))
        return Features(image, *self.run_encoder(image), *degraded.shape[-2:])

    def decode(self, features: Features, override: Override | None = None) -> Decoded:
        """Decode under the router's prompts, or under ``override`` at the levels it names."""
        forced = override or {}
        routing: dict[str, Routing] = {}
        prompt, routing["level3"] = self.prompt3(features.latent, forced.get("level3"))
        x = self.noise_level3(torch.cat([features.latent, prompt], 1))
        x = self.up4_3(self.reduce_noise_level3(x))
        x = self.reduce_chan_level3(torch.cat([x, features.level3], 1))
        x = self.decoder_level3(x)
        prompt, routing["level2"] = self.prompt2(x, forced.get("level2"))
        x = self.noise_level2(torch.cat([x, prompt], 1))
        x = self.up3_2(self.reduce_noise_level2(x))
        x = self.decoder_level2(self.reduce_chan_level2(torch.cat([x, features.level2], 1)))
        prompt, routing["level1"] = self.prompt1(x, forced.get("level1"))
        x = self.reduce_noise_level1(self.noise_level1(torch.cat([x, prompt], 1)))
        restored = self.finish(x, features.level1, features.image)
        return Decoded(
            restored=restored[..., : features.height, : features.width],
            routing=routing,
            auxiliary=self._auxiliary(routing),
        )

    def decode_negative(self, features: Features, override: Override) -> Decoded:
        """Decode under wrong prompts; gradients reach what ``cpr_gradient`` names."""
        if self.options.cpr_gradient == "full":
            return self.decode(features, override)
        if self.options.cpr_gradient == "detached":
            with torch.no_grad():
                return self.decode(features, override)
        prompts = {id(p.prompt_param) for p in (self.prompt1, self.prompt2, self.prompt3)}
        with frozen(p for p in self.parameters() if id(p) not in prompts):
            return self.decode(features.detach(), override)

    def _auxiliary(self, routing: dict[str, Routing]) -> dict[str, Tensor]:
        weight = self.options.balance_weight
        routed = [r.probabilities for r in routing.values() if r.probabilities is not None]
        if not weight or not routed:
            return {}
        return {"balance": weight * torch.stack([balance(p) for p in routed]).sum()}

    def choose(self, degraded: Tensor, tasks: tuple[str, ...] | None) -> Override | None:
        """Return one-hot prompts where the true task or the classifier chooses.

        Raises:
            ValueError: the true task chooses and ``tasks`` were not given.
        """
        if self.options.chooser == "router":
            return None
        if self.classifier is not None:
            with torch.no_grad():
                index = self.classifier.classify(degraded).argmax(dim=-1)  # type: ignore[operator]
        elif tasks is None:
            raise ValueError("prompts are chosen by the true task, and no tasks were given")
        else:
            index = torch.tensor([self.tasks.index(t) for t in tasks], device=degraded.device)
        one_hot = F.one_hot(index, self.prompts).to(degraded.dtype)
        return dict.fromkeys(self.levels, one_hot)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode(self.encode(degraded), self.choose(degraded, tasks)).restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, the router's balance, and CPR under prompts that were not chosen."""
        features = self.encode(batch.degraded)
        decoded = self.decode(features, self.choose(batch.degraded, batch.tasks))
        terms = {"l1": F.l1_loss(decoded.restored, batch.clean), **decoded.auxiliary}
        if self.contrast is not None:
            terms["cpr"] = self.contrast(self.decode_negative, features, decoded, batch, rng)
        return terms


def build(context: BuildContext) -> PromptIR:
    """Build from ``PromptIROptions``; the classifier comes from the cell it was trained in."""
    options: Any = context.options
    classifier = context.required["task-classifier"] if options.chooser == "classifier" else None
    return PromptIR(options, context.tasks, classifier)
