"""The shared router, which chooses the prompts of all levels, and its running normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.method import Routing
from methods.batch_rows import BatchRows
from methods.prompting.load_bias import BiasedRouter
from methods.prompting.options import PromptOptions
from methods.prompting.pooling import NUMBERS_PER_CHANNEL, pooling

_VARIANCE_EPSILON = 1e-4
_LEAST_STEP = 0.02


@dataclass(frozen=True)
class _Statistics:
    """Running mean and variance (inputs,), and the number of batches that they follow from."""

    mean: Tensor
    variance: Tensor
    batches: Tensor

    @torch.no_grad()
    def after(self, x: Tensor) -> _Statistics:
        """Return the statistics after one more batch (N, inputs)."""
        batches = self.batches + 1
        # A plain mean of all batches at first, then an exponential one.
        step = (1 / batches).clamp_min(_LEAST_STEP)
        mean = self.mean.lerp(x.mean(dim=0).to(self.mean), step)
        deviation = (x.to(mean) - mean).square().mean(dim=0)
        return _Statistics(mean, self.variance.lerp(deviation, step), batches)


class RunningNorm(nn.Module):
    """Standardises each number by its running mean and variance over training samples.

    Unlike batch normalisation it uses the running statistics in training too, because those of a
    batch of five samples of five tasks are too noisy. A batch sees statistics that it is part of
    itself; those that stay follow at the end of a step from all of its samples. All state is in
    buffers, so that a resumed training has it.

    Args:
        inputs: how many numbers are standardised.
        scaled: whether they are divided by their deviation, too, or only centred.
    """

    def __init__(self, inputs: int, scaled: bool = True) -> None:
        super().__init__()
        self.scaled = scaled
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("variance", torch.ones(inputs))
        self.register_buffer("batches", torch.zeros(()))
        self.rows = BatchRows()
        self.with_batch: _Statistics | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, inputs) standardised; in training mode by statistics that include it."""
        statistics = self._stored()
        if self.training:
            statistics = self.with_batch = (self.with_batch or statistics).after(x)
            self.rows.add(x)
        centred = x - statistics.mean
        if not self.scaled:
            return centred
        return centred / (statistics.variance + _VARIANCE_EPSILON).sqrt()

    def gathered(self) -> dict[str, Tensor]:
        """Return what was standardised since the last call; see GathersFromBatches."""
        self.with_batch = None
        return self.rows.take()

    def update_from(self, rows: Mapping[str, Tensor]) -> None:
        """Move the running statistics by the samples of a step, (N, inputs) for each call."""
        statistics = self._stored()
        for x in rows.values():
            statistics = statistics.after(x)
        for name, value in vars(statistics).items():
            self.get_buffer(name).copy_(value)

    def _stored(self) -> _Statistics:
        buffers = (self.get_buffer(name) for name in ("mean", "variance", "batches"))
        return _Statistics(*buffers)


class SharedRouter(BiasedRouter):
    """One router for all levels, which sees the encoder's first map.

    The first map shows the degradation before the encoder mixes it with content. No gradient
    flows from the router to the encoder: a load-balancing loss must not change the features that
    restore.

    Args:
        channels: channels of the first map.
        options: pooling, hidden layer and selection.
    """

    def __init__(self, channels: int, options: PromptOptions) -> None:
        super().__init__(options)
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

    def forward(self, first: Tensor) -> Routing:
        """Weigh the prompts by the encoder's first map (N, C, H, W)."""
        seen = self.norm(pooling(first.detach(), self.options.router_pooling))
        return self.weigh(self.score, seen)
