"""The shared router, which chooses the prompts of all levels, and its running normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.method import Routing
from methods.prompting.options import PromptOptions
from methods.prompting.pooling import NUMBERS_PER_CHANNEL, pooling
from methods.prompting.routing import Exploration, initial_load_bias, route

_VARIANCE_EPSILON = 1e-4
_LEAST_STEP = 0.02


class RunningNorm(nn.Module):
    """Standardises each number by its running mean and variance over training samples.

    Unlike batch normalisation it uses the running statistics in training too, because those of a
    batch of five samples of five tasks are too noisy. All state is in buffers, so that a resumed
    training has it.

    Args:
        inputs: how many numbers are standardised.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("variance", torch.ones(inputs))
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, inputs) standardised; in training mode, update the statistics first."""
        if self.training:
            self._update(x)
        mean, variance = self.get_buffer("mean"), self.get_buffer("variance")
        return (x - mean) / (variance + _VARIANCE_EPSILON).sqrt()

    @torch.no_grad()
    def _update(self, x: Tensor) -> None:
        mean, variance = self.get_buffer("mean"), self.get_buffer("variance")
        count = self.get_buffer("batches").add_(1)
        # A plain mean of all batches at first, then an exponential one.
        step = (1 / count).clamp_min(_LEAST_STEP)
        mean.lerp_(x.mean(dim=0).to(mean), step)
        variance.lerp_((x.to(mean) - mean).square().mean(dim=0), step)


class SharedRouter(nn.Module):
    """One router for all levels, which sees the encoder's first map.

    The first map shows the degradation before the encoder mixes it with content. No gradient
    flows from the router to the encoder: a load-balancing loss must not change the features that
    restore.

    Args:
        channels: channels of the first map.
        options: pooling, hidden layer and selection.
    """

    def __init__(self, channels: int, options: PromptOptions) -> None:
        super().__init__()
        self.options = options
        inputs = channels * NUMBERS_PER_CHANNEL[options.router_pooling]
        hidden = options.router_hidden
        # Running statistics instead of layer norm, which would remove the total amount of fine
        # detail, by which light noise and haze differ from rain.
        self.norm = RunningNorm(inputs)
        self.score: nn.Module = nn.Linear(inputs, options.prompts)
        if hidden:
            self.score = nn.Sequential(
                nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, options.prompts)
            )
        self.register_buffer("load_bias", initial_load_bias(options))
        self.exploring: Exploration | None = None

    def forward(self, first: Tensor) -> Routing:
        """Weigh the prompts by the encoder's first map (N, C, H, W)."""
        seen = self.norm(pooling(first.detach(), self.options.router_pooling))
        bias = self._buffers["load_bias"]
        return route(self.score, seen, self.options, self.exploring, bias)
