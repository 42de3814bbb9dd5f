"""CPL as a plug-in: sparse prompts at the places that a network without prompts names.

At each place the features (C channels) are joined with a prompt of about two thirds of C,
as at PromptIR's three levels, mixed by one transformer block, and what a 1x1 convolution makes
of it is added to the features. The sum is ours: PromptIR replaces the features, but a network
that was not made for prompts keeps its own path so.
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
)
from methods.blocks import TransformerBlock, conv1x1
from methods.options import PromptOptions
from methods.prompting import Prompting
from methods.prompts import PromptModule

_HEADS = 4
_EXPANSION = 2.66


class _Place(nn.Module):
    """Adds to features (N, C, H, W) what they and their prompt give together."""

    def __init__(self, channels: int, side: int, options: PromptOptions) -> None:
        super().__init__()
        dim = max(8, round(channels / 12) * 8)
        self.prompt = PromptModule(channels, dim, side, options)
        width = channels + dim
        self.block = TransformerBlock(width, math.gcd(width, _HEADS), _EXPANSION)
        self.reduce = conv1x1(width, channels)

    def forward(self, x: Tensor, forced: Tensor | None) -> tuple[Tensor, Routing]:
        prompt, routing = self.prompt(x, forced)
        return x + self.reduce(self.block(torch.cat([x, prompt], 1))), routing


class Plugged(nn.Module):
    """A network with prompts at all of its insertion points.

    Args:
        host: the network; its keys get the prefix ``host.``.
        options: prompts and objective.
        tasks: task names; with a forced choice, task i answers to prompt i.
        classifier: frozen module with ``classify``, for ``chooser=classifier``.
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
        places = tuple(host.insertion_channels)
        self.levels = options.prompted(places)
        self.prompts = options.prompts
        # The uppermost place is taken to work at half the image's side, as in PromptIR; a
        # prompt is resized to the features wherever that is not so.
        count = len(places)
        self.places = nn.ModuleDict(
            {
                level: _Place(channels, max(1, options.prompt_patch_px >> (count - i)), options)
                for i, (level, channels) in enumerate(host.insertion_channels.items())
                if level in self.levels
            }
        )
        self.prompting = Prompting(
            options, tasks, self.levels, _first_channels(host, options), classifier
        )

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Any:
        """Encode (N, 3, H, W) in [0, 1] of any size."""
        return self.host.encode(degraded, rng)

    def decode(self, features: Any, override: Override | None = None) -> Decoded:
        """Decode under the router's prompts, or under ``override`` at the levels it names."""
        forced, shared = self.prompting.share(features, override)
        routing: dict[str, Routing] = {}

        def insert(level: str, x: Tensor) -> Tensor:
            if level not in self.levels:
                return x
            out, routing[level] = self.places[level](x, forced.get(level))
            routing[level] = shared or routing[level]
            return out

        decoded = self.host.decode_with(features, insert)
        if override:
            return Decoded(decoded.restored, routing, {})
        # Host and prompts may both balance a router: their terms keep apart.
        of_host = {f"host_{name}": term for name, term in decoded.auxiliary.items()}
        auxiliary = {**of_host, **self.prompting.auxiliary(routing)}
        return Decoded(decoded.restored, routing, auxiliary)

    def prompt_bank(self, level: str) -> Tensor:
        """Return the prompts of a level, (prompts, C, H, W)."""
        bank: Tensor = self.places[level].prompt.prompt_param[0]  # type: ignore[union-attr, index]
        return bank

    def choose(self, degraded: Tensor, tasks: tuple[str, ...] | None) -> Override | None:
        """Return one-hot prompts where the true task or the classifier chooses."""
        return self.prompting.choose(degraded, tasks, self.levels)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode(self.encode(degraded), self.choose(degraded, tasks)).restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, what host and router add to it, and CPR."""
        return self.prompting.losses(self, batch, rng)


def _first_channels(host: nn.Module, options: PromptOptions) -> int:
    """Return the channels of the host's first encoder map, for a router that sees it."""
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


def build(context: BuildContext) -> Plugged:
    """Build the host from its part of the options, and the prompts from theirs."""
    options: Any = context.options
    if context.host is None:
        raise ValueError("a plug-in is built around a host, and none was given")
    host = context.host(options.host_options)
    classifier = context.required["task-classifier"] if options.chooser == "classifier" else None
    return Plugged(host, options, context.tasks, classifier)
