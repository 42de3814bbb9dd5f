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
from methods.restormer_backbone import Features, RestormerBackbone

_UNUSED = ("chnl_reduce", "reduce_noise_channel_")


class PromptIR(RestormerBackbone):
    """PromptIR, and every variant of prompts and objective that its options name.

    Args:
        options: size, prompts and objective.
        tasks: task names; with a forced choice, task i answers to prompt i.
        classifier: frozen module with ``classify``, for ``chooser=classifier``.
    """

    def __init__(
        self, options: PromptIROptions, tasks: tuple[str, ...], classifier: nn.Module | None = None
    ) -> None:
        super().__init__(options)
        self.prompts = options.prompts
        d, e = options.dim, options.ffn_expansion
        dims, sides = options.prompt_dims, options.prompt_sizes
        self.levels = options.prompted(LEVELS)
        # The published network gives all three of these blocks the third level's heads.
        heads = options.heads[2]
        widths = {"level1": 2 * d, "level2": 4 * d, "level3": 8 * d}
        for level, width in widths.items():
            if level in self.levels:
                module = PromptModule(width, dims[level], sides[level], options)
                setattr(self, f"prompt{level[-1]}", module)
        joined = {level: w + dims[level] * (level in self.levels) for level, w in widths.items()}
        self.noise_level3 = TransformerBlock(joined["level3"], heads, e)
        self.reduce_noise_level3 = conv1x1(joined["level3"], 4 * d)
        self.up4_3 = Upsample(4 * d)
        self.reduce_chan_level3 = conv1x1(6 * d, 4 * d)
        self.noise_level2 = TransformerBlock(joined["level2"], heads, e)
        self.reduce_noise_level2 = conv1x1(joined["level2"], 4 * d)
        self.noise_level1 = TransformerBlock(joined["level1"], heads, e)
        self.reduce_noise_level1 = conv1x1(joined["level1"], 2 * d)
        if options.unused_convolutions:
            self._add_unused(d, dims)
        self.prompting = Prompting(options, tasks, self.levels, d, classifier)

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
        forced, shared = self.prompting.share(features, override)
        routing: dict[str, Routing] = {}

        def insert(level: str, x: Tensor) -> Tensor:
            if level in self.levels:
                module = getattr(self, f"prompt{level[-1]}")
                prompt, routing[level] = module(x, forced.get(level))
                routing[level] = shared or routing[level]
                x = torch.cat([x, prompt], 1)
            block, reduce = getattr(self, f"noise_{level}"), getattr(self, f"reduce_noise_{level}")
            reduced: Tensor = reduce(block(x))
            return reduced

        restored = self.decode_backbone(features, insert)
        return Decoded(restored, routing, self.prompting.auxiliary(routing))

    def prompt_bank(self, level: str) -> Tensor:
        """Return the prompts of a level, (prompts, C, H, W)."""
        bank: Tensor = getattr(self, f"prompt{level[-1]}").prompt_param[0]
        return bank

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
