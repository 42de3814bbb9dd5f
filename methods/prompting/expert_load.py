"""Expert load: how much each task uses each prompt, from the routing of the last batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Routing
from methods.prompting.options import PromptOptions

LEAST_LOAD = 1e-6
"""A task whose load sums to less was in no batch yet; it also bounds divisors from below."""


class ExpertLoad(nn.Module):
    """Mean routing of each task over the last batches; all state is in buffers.

    Args:
        levels: levels that have prompts; each names a buffer (tasks, prompts).
        tasks: task names.
        options: number of prompts and decay.
    """

    def __init__(
        self, levels: Sequence[str], tasks: tuple[str, ...], options: PromptOptions
    ) -> None:
        super().__init__()
        self.tasks, self.decay = tasks, options.cpr_usage_decay
        for level in levels:
            self.register_buffer(level, torch.zeros(len(tasks), options.prompts))

    @torch.no_grad()
    def update(self, routing: Mapping[str, Routing], tasks: Sequence[str]) -> None:
        """Move each task's mean towards its mean in a batch; its first batch sets it."""
        present = F.one_hot(self._indices(tasks), len(self.tasks)).float()
        counts = present.sum(dim=0)
        for level, routed in routing.items():
            mean = self.get_buffer(level)
            weights = shares(routed.weights.float())
            totals = present.T.to(weights) @ weights
            batch_mean = totals / counts.clamp_min(1).to(weights)[:, None]
            first_time = mean.sum(dim=-1, keepdim=True) < LEAST_LOAD
            moved = mean * self.decay + batch_mean * (1 - self.decay)
            updated = torch.where(first_time, batch_mean, moved)
            in_batch = (counts > 0).to(mean.device)[:, None]
            mean.copy_(torch.where(in_batch, updated, mean))

    def of_other_tasks(self, level: str, tasks: Sequence[str]) -> Tensor:
        """Return (N, tasks, prompts): the means of tasks other than each sample's, else zeros."""
        mean = self.get_buffer(level)
        others = 1 - F.one_hot(self._indices(tasks), len(self.tasks)).to(mean)
        return others[:, :, None] * mean

    def _indices(self, tasks: Sequence[str]) -> Tensor:
        return torch.tensor([self.tasks.index(task) for task in tasks])


def shares(weights: Tensor) -> Tensor:
    """Return ``weights`` (..., prompts) divided by their sum over prompts."""
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(LEAST_LOAD)
