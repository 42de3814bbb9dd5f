"""PromptIR in general width, split into encoder and decoder so that prompts can be forced.

Follows Potlapalli et al., NeurIPS 2023 (arXiv 2306.13090), repository va1shn9v/PromptIR,
net/model.py, ``decoder=True``. At the published configuration keys, shapes and outputs are
the published ones; the published code works at width 48 alone because some of its channel
counts are literals, which are derived from the width here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.method import Batch, BuildContext, Decoded, Override, Routing
from methods.blocks import TransformerBlock, Upsample, conv1x1
from methods.options import LEVELS, PromptIROptions
from methods.prompting import Prompting
from methods.prompts import PromptModule
from methods.trunk import Features, RestormerTrunk

_UNUSED = ("chnl_reduce", "reduce_noise_channel_")


class PromptIR(RestormerTrunk):
    """PromptIR, and every variant of prompts and objective that its options name.

    Args:
        options: size, prompts and objective.
        tasks: task names; with a forced choice, task i answers to prompt i.
        classifier: frozen module with ``classify``, for ``chooser=classifier``.
    """

    levels = LEVELS

    def __init__(
        self, options: PromptIROptions, tasks: tuple[str, ...], classifier: nn.Module | None = None
    ) -> None:
        super().__init__(options)
        self.prompts = options.prompts
        d, e = options.dim, options.ffn_expansion
        dims, sides = options.prompt_dims, options.prompt_sizes
        # The published network gives all three of these blocks the third level's heads.
        heads = options.heads[2]
        self.prompt1 = PromptModule(2 * d, dims["level1"], sides["level1"], options)
        self.prompt2 = PromptModule(4 * d, dims["level2"], sides["level2"], options)
        self.prompt3 = PromptModule(8 * d, dims["level3"], sides["level3"], options)
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
        self.prompting = Prompting(options, tasks, classifier)

    def _add_unused(self, d: int, dims: dict[str, int]) -> None:
        """Add the six convolutions that published checkpoints hold and no forward uses."""
        third = dims["level3"] * 4 // 5
        self.chnl_reduce1 = conv1x1(dims["level1"], dims["level1"])
        self.chnl_reduce2 = conv1x1(dims["level2"], dims["level2"])
        self.chnl_reduce3 = conv1x1(dims["level3"], third)
        self.reduce_noise_channel_1 = conv1x1(d + dims["level1"], d)
        self.reduce_noise_channel_2 = conv1x1(2 * d + dims["level2"], 2 * d)
        self.reduce_noise_channel_3 = conv1x1(4 * d + third, 4 * d)

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Add or drop the six convolutions that no forward uses, as this network has them.

        PromptIR's own checkpoints hold them, those of MiOIR's PromptIR and of CPL do not.
        """
        own = {k: v for k, v in self.state_dict().items() if k.startswith(_UNUSED)}
        kept = {k: v for k, v in state.items() if k in own or not k.startswith(_UNUSED)}
        return {**own, **kept}

    def decode(self, features: Features, override: Override | None = None) -> Decoded:
        """Decode under the router's prompts, or under ``override`` at the levels it names."""
        forced = override or {}
        routing: dict[str, Routing] = {}
        parts = {
            "level3": (self.prompt3, self.noise_level3, self.reduce_noise_level3),
            "level2": (self.prompt2, self.noise_level2, self.reduce_noise_level2),
            "level1": (self.prompt1, self.noise_level1, self.reduce_noise_level1),
        }

        def insert(level: str, x: Tensor) -> Tensor:
            module, block, reduce = parts[level]
            prompt, routing[level] = module(x, forced.get(level))
            return reduce(block(torch.cat([x, prompt], 1)))

        restored = self.decode_trunk(features, insert)
        return Decoded(restored, routing, self.prompting.auxiliary(routing))

    def choose(self, degraded: Tensor, tasks: tuple[str, ...] | None) -> Override | None:
        """Return one-hot prompts where the true task or the classifier chooses.

        Raises:
            ValueError: the true task chooses and ``tasks`` were not given.
        """
        return self.prompting.choose(degraded, tasks, self.levels)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode(self.encode(degraded), self.choose(degraded, tasks)).restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, the router's balance, and CPR under prompts that were not chosen."""
        return self.prompting.losses(self, batch, rng)


def build(context: BuildContext) -> PromptIR:
    """Build from ``PromptIROptions``; the classifier comes from the cell it was trained in."""
    options: Any = context.options
    classifier = context.required["task-classifier"] if options.chooser == "classifier" else None
    return PromptIR(options, context.tasks, classifier)
