"""Prompts for a network without prompts, at the insertion points that it names.

At each insertion point the features (C channels) are joined with a prompt of about two thirds of C
channels, as at PromptIR's three levels, mixed by one transformer block, projected to C channels by
a 1x1 convolution and added to the features. The addition differs from PromptIR, which replaces the
features: it leaves the network, which was not made for prompts, its own path.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from harness.method import (
    Batch,
    BuildContext,
    Decoded,
    OptionError,
    Override,
    PromptHost,
    Routing,
    RoutingVariant,
)
from methods.blocks import TransformerBlock
from methods.convolutions import conv1x1
from methods.prompting.objective import Prompting
from methods.prompting.options import PromptOptions
from methods.prompting.prompt_module import PromptModule, routed_by
from methods.prompting.reconstruction import reconstruction_losses
from methods.prompting.routing_variants import routing_variants

_HEADS = 4
_EXPANSION = 2.66


class InsertedPrompt(nn.Module):
    """Adds to features (N, C, H, W) a mixture of themselves and their prompt.

    Args:
        channels: channels of the features.
        side: height and width of the prompts.
        options: of the prompts.
    """

    def __init__(self, channels: int, side: int, options: PromptOptions) -> None:
        super().__init__()
        dim = max(8, round(channels / 12) * 8)
        self.prompt = PromptModule(channels, dim, side, options)
        width = channels + dim
        self.block = TransformerBlock(width, math.gcd(width, _HEADS), _EXPANSION)
        self.reduce = conv1x1(width, channels)

    def forward(self, x: Tensor, forced: Tensor | None) -> tuple[Tensor, Routing]:
        """Return the features with their prompt, (N, C, H, W), and the routing."""
        prompt, routing = self.prompt(x, forced)
        return x + self.reduce(self.block(torch.cat([x, prompt], 1))), routing


class PromptAdapter(nn.Module):
    """A network with prompts at its insertion points.

    Args:
        host: the network; its keys get the prefix ``host.``.
        options: prompts and objective.
        tasks: task names; with a forced choice, task i has prompt i.
        classifier: frozen module with ``classify``, for ``chooser=classifier``.

    Raises:
        TypeError: ``host`` has no insertion points.
    """

    def __init__(
        self,
        host: nn.Module,
        options: PromptOptions,
        tasks: tuple[str, ...],
        classifier: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(host, PromptHost):
            raise TypeError(f"{type(host).__name__} names no insertion points")
        self.host = host
        self.levels = options.prompted_levels(tuple(host.insertion_channels))
        self.prompts = options.prompts
        self.insertion_points = nn.ModuleDict()
        # The uppermost insertion point is assumed to be at half the image's side, as in PromptIR;
        # where it is not, its prompts are resized to the features.
        halvings = len(host.insertion_channels)
        for level, channels in host.insertion_channels.items():
            side = max(1, options.prompt_patch_px >> halvings)
            if level in self.levels:
                self.insertion_points[level] = InsertedPrompt(channels, side, options)
            halvings -= 1
        first_channels = _first_channels(host, options)
        self.prompting = Prompting(options, tasks, self.levels, first_channels, classifier)

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Any:
        """Encode (N, 3, H, W) in [0, 1] of any size."""
        return self.host.encode(degraded, rng)

    def decode(self, features: Any, override: Override | None = None) -> Decoded:
        """Decode under the router's prompts, or under ``override`` at the levels it names."""
        forced, shared = self.prompting.route_shared(features, override)
        routing: dict[str, Routing] = {}

        def insert(level: str, x: Tensor) -> Tensor:
            if level not in self.levels:
                return x
            prompted, routing[level] = self.insertion_points[level](x, forced.get(level))
            routing[level] = shared or routing[level]
            return prompted

        decoded = self.host.decode_with(features, insert)
        # The host may have a router too, so its terms get a prefix. They stay where prompts are
        # forced, as the true task, a classifier or a teacher does in training.
        host_terms = {f"host_{name}": term for name, term in decoded.auxiliary.items()}
        auxiliary = {**host_terms, **self.prompting.auxiliary(routing)}
        return Decoded(decoded.restored, routing, auxiliary)

    def routing_variants(self) -> tuple[RoutingVariant, ...]:
        """Return other ways to route at test; none where no router selects prompts."""
        return routing_variants(self.prompting.options)

    def decode_variant(self, features: Any, variant: RoutingVariant) -> Decoded:
        """Decode under the prompts that ``variant`` makes of what the routers say."""
        with routed_by(self, variant):
            return self.decode(features)

    def prompt_bank(self, level: str) -> Tensor:
        """Return the prompts of a level, (prompts, C, H, W)."""
        inserted: Any = self.insertion_points[level]
        bank: Tensor = inserted.prompt.prompt_param[0]
        return bank

    def choose(self, degraded: Tensor, tasks: tuple[str, ...] | None) -> Override | None:
        """Return one-hot prompts where the true task or the classifier chooses, else None."""
        return self.prompting.choose(degraded, tasks, self.levels)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode(self.encode(degraded), self.choose(degraded, tasks)).restored

    def reconstruction_losses(self, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """Return the terms that the host compares images (N, 3, H, W) by: its own, else L1."""
        return reconstruction_losses(self.host, restored, clean)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the terms of the host and of the routers, and CPR."""
        return self.prompting.losses(self, batch, rng)


def _first_channels(host: nn.Module, options: PromptOptions) -> int:
    """Return the channels of the host's first encoder map; 0 without a shared router."""
    if not options.shared_router:
        return 0
    with torch.no_grad():
        encoded = host.encode(torch.zeros(1, 3, 32, 32))  # type: ignore[operator]
    if not hasattr(encoded, "maps"):
        raise OptionError(
            f"shared_router=true needs an encoder whose features have maps(), and "
            f"{type(encoded).__name__} has none; use shared_router=false"
        )
    return int(encoded.maps()[0].shape[1])


def build(context: BuildContext) -> PromptAdapter:
    """Build the host from its part of the options, and the prompts from theirs."""
    options: Any = context.options
    if context.host is None:
        raise ValueError("prompts are added to a host, and the context has none")
    host = context.host(options.host_options)
    classifier = context.required["task-classifier"] if options.chooser == "classifier" else None
    return PromptAdapter(host, options, context.tasks, classifier)
