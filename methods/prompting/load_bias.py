"""Routers whose selection is moved towards prompts that are selected less often than the mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from harness.method import Routing, RoutingVariant
from methods.batch_rows import BatchRows
from methods.prompting.options import PromptOptions
from methods.prompting.routing import Exploration, initial_load_bias, move_load_bias, route


class BiasedRouter(nn.Module):
    """Weighs prompts, and moves the bias on their selection once per step.

    The bias is the buffer ``load_bias``; there is none where the options ask for none.

    Args:
        options: of the routing.
        is_routed: whether it routes at all.

    Attributes:
        exploring: set by the objective in training.
        variant: set at test to weigh prompts in another way than in training.
    """

    def __init__(self, options: PromptOptions, is_routed: bool = True) -> None:
        super().__init__()
        self.options = options
        self.exploring: Exploration | None = None
        self.variant: RoutingVariant | None = None
        self.register_buffer("load_bias", initial_load_bias(options) if is_routed else None)
        self.selections = BatchRows()

    def weigh(self, score: nn.Module, seen: Tensor) -> Routing:
        """Weigh the prompts by what ``score`` makes of pooled features (N, inputs)."""
        bias = self._buffers["load_bias"]
        routing = route(score, seen, self.options, self.exploring, bias)
        if bias is not None and self.exploring is not None:
            self.selections.add(routing.weights)
        if self.variant is not None:
            return replace(routing, weights=self.variant.weights(routing, bias))
        return routing

    def gathered(self) -> dict[str, Tensor]:
        """Return the weights of prompts since the last call; see GathersFromBatches."""
        return self.selections.take()

    def update_from(self, rows: Mapping[str, Tensor]) -> None:
        """Move the bias on the selection by the weights (N, prompts) of a step's samples."""
        for weights in rows.values():
            bias = self.get_buffer("load_bias")
            move_load_bias(bias, weights, self.options.load_balancing_weight)
