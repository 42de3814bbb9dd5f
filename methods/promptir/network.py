"""PromptIR of any width, split into encoder and decoder so that prompts can be forced.

Follows Potlapalli et al., NeurIPS 2023 (arXiv 2306.13090), repository va1shn9v/PromptIR,
net/model.py, ``decoder=True``. At the published configuration keys, shapes and outputs are
the published ones. The published code works only at width 48, because some of its channel
counts are literals; here they are derived from the width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.method import Batch, BuildContext, Decoded, Override, Routing, RoutingVariant
from methods.blocks import TransformerBlock, Upsample
from methods.convolutions import conv1x1
from methods.prompting.objective import Prompting
from methods.prompting.prompt_module import PromptModule, routed_by
from methods.prompting.routing_variants import routing_variants
from methods.promptir.spec import PromptIROptions
from methods.restormer.spec import LEVELS
from methods.restormer_backbone import Features, RestormerBackbone

_UNUSED = ("chnl_reduce", "reduce_noise_channel_")


class PromptIR(RestormerBackbone):
    """PromptIR, and every variant of prompts and objective that its options name.

    Args:
        options: size, prompts and objective.
        tasks: task names; with a forced choice, task i has prompt i.
        classifier: frozen module with ``classify``, for ``chooser=classifier``.
    """

    # As DCPT reads them: the highest level is no part of its classification.
    decoder_levels = ("decoder_level2", "decoder_level3")

    def __init__(
        self, options: PromptIROptions, tasks: tuple[str, ...], classifier: nn.Module | None = None
    ) -> None:
        super().__init__(options)
        self.prompts = options.prompts
        self.levels = options.prompted_levels(LEVELS)
        joined_widths = self._add_prompts(options)
        self._add_blocks(options, joined_widths)
        if options.unused_convolutions:
            self._add_unused(options.dim, options.prompt_dims)
        self.prompting = Prompting(options, tasks, self.levels, options.dim, classifier)

    def _add_prompts(self, options: PromptIROptions) -> dict[str, int]:
        """Add the prompt modules; return the channels of each level joined with its prompts."""
        dims, sides = options.prompt_dims, options.prompt_sizes
        widths = {"level1": 2 * options.dim, "level2": 4 * options.dim, "level3": 8 * options.dim}
        for level, width in list(widths.items()):
            if level in self.levels:
                module = PromptModule(width, dims[level], sides[level], options)
                setattr(self, f"prompt{level[-1]}", module)
                widths[level] += dims[level]
        return widths

    def _add_blocks(self, options: PromptIROptions, widths: Mapping[str, int]) -> None:
        """Add the blocks that mix features and prompts, and the rest of the decoder."""
        d, expansion = options.dim, options.ffn_expansion
        # The published network gives all three of these blocks the third level's heads.
        heads = options.heads[2]
        self.noise_level3 = TransformerBlock(widths["level3"], heads, expansion)
        self.reduce_noise_level3 = conv1x1(widths["level3"], 4 * d)
        self.up4_3 = Upsample(4 * d)
        self.reduce_chan_level3 = conv1x1(6 * d, 4 * d)
        self.noise_level2 = TransformerBlock(widths["level2"], heads, expansion)
        self.reduce_noise_level2 = conv1x1(widths["level2"], 4 * d)
        self.noise_level1 = TransformerBlock(widths["level1"], heads, expansion)
        self.reduce_noise_level1 = conv1x1(widths["level1"], 2 * d)

    def _add_unused(self, d: int, dims: Mapping[str, int]) -> None:
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

        PromptIR's own checkpoints hold them; those of MiOIR's PromptIR and of CPL do not.
        """
        adapted = {}
        for key, value in self.state_dict().items():
            if key.startswith(_UNUSED):
                adapted[key] = value
        for key, value in state.items():
            if key in adapted or not key.startswith(_UNUSED):
                adapted[key] = value
        return adapted

    def decode(self, features: Features, override: Override | None = None) -> Decoded:
        """Decode under the router's prompts, or under ``override`` at the levels it names."""
        forced, shared = self.prompting.route_shared(features, override)
        routing: dict[str, Routing] = {}

        def insert(level: str, x: Tensor) -> Tensor:
            if level in self.levels:
                prompt, routing[level] = self._prompt_module(level)(x, forced.get(level))
                routing[level] = shared or routing[level]
                x = torch.cat([x, prompt], 1)
            block, reduce = getattr(self, f"noise_{level}"), getattr(self, f"reduce_noise_{level}")
            reduced: Tensor = reduce(block(x))
            return reduced

        restored = self.decode_backbone(features, insert)
        return Decoded(restored, routing, self.prompting.auxiliary(routing))

    def routing_variants(self) -> tuple[RoutingVariant, ...]:
        """Return other ways to route at test; none where no router selects prompts."""
        return routing_variants(self.prompting.options)

    def decode_variant(self, features: Features, variant: RoutingVariant) -> Decoded:
        """Decode under the prompts that ``variant`` makes of what the routers say."""
        with routed_by(self, variant):
            return self.decode(features)

    def _prompt_module(self, level: str) -> PromptModule:
        module: PromptModule = getattr(self, f"prompt{level[-1]}")
        return module

    def prompt_bank(self, level: str) -> Tensor:
        """Return the prompts of a level, (prompts, C, H, W)."""
        return self._prompt_module(level).prompt_param[0]

    def choose(self, degraded: Tensor, tasks: tuple[str, ...] | None) -> Override | None:
        """Return one-hot prompts where the true task or the classifier chooses, else None.

        Raises:
            ValueError: the true task chooses and ``tasks`` were not given.
        """
        return self.prompting.choose(degraded, tasks, self.levels)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode(self.encode(degraded), self.choose(degraded, tasks)).restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, the terms of the routers, and CPR."""
        return self.prompting.losses(self, batch, rng)


def build(context: BuildContext) -> PromptIR:
    """Build from ``PromptIROptions``; the classifier was trained in a run of its own."""
    options: Any = context.options
    classifier = context.required["task-classifier"] if options.chooser == "classifier" else None
    return PromptIR(options, context.tasks, classifier)
