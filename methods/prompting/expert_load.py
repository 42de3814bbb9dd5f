"""Expert load: how much each task uses each prompt, from the routing of the last batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from harness.method import Routing
from methods.prompting.options import PromptOptions
from methods.task_indices import one_hot, task_indices

LEAST_LOAD = 1e-6
"""A task whose load sums to less was in no batch yet; it also bounds divisors from below."""
_TASKS = "task indices"


class ExpertLoad(nn.Module):
    """Mean routing of each task over the last batches; all state is in buffers.

    The losses of a batch see means that it is part of itself; those that stay follow at the end of
    a step from all of its samples.

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
        self.rows: dict[str, Tensor] = {}
        self.with_batch: dict[str, Tensor] = {}

    @torch.no_grad()
    def observe(self, routing: Mapping[str, Routing], tasks: Sequence[str]) -> None:
        """Keep how a batch is routed, and count it for :meth:`of_other_tasks`."""
        first = next(iter(routing.values())).weights
        self.rows = {_TASKS: task_indices(tasks, self.tasks, first.device)}
        for level, routed in routing.items():
            self.rows[level] = shares(routed.weights.detach().float())
        self.with_batch = self._after(self.rows)

    def gathered(self) -> dict[str, Tensor]:
        """Return the routing of the last batch and its tasks; see GathersFromBatches."""
        rows, self.rows, self.with_batch = self.rows, {}, {}
        return rows

    def update_from(self, rows: Mapping[str, Tensor]) -> None:
        """Move each task's mean towards its mean over a step's samples; its first step sets it."""
        for level, mean in self._after(rows).items():
            self.get_buffer(level).copy_(mean)

    @torch.no_grad()
    def _after(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the means after samples whose tasks and routing are ``rows``."""
        if not rows:
            return {}
        present = one_hot(rows[_TASKS], len(self.tasks)).float()
        counts = present.sum(dim=0)
        means = {}
        for level, weights in rows.items():
            if level == _TASKS:
                continue
            mean = self.get_buffer(level)
            totals = present.T.to(weights) @ weights
            batch_mean = totals / counts.clamp_min(1).to(weights)[:, None]
            first_time = mean.sum(dim=-1, keepdim=True) < LEAST_LOAD
            moved = mean * self.decay + batch_mean * (1 - self.decay)
            updated = torch.where(first_time, batch_mean, moved)
            in_batch = (counts > 0).to(mean.device)[:, None]
            means[level] = torch.where(in_batch, updated, mean)
        return means

    def of_other_tasks(self, level: str, tasks: Sequence[str]) -> Tensor:
        """Return (N, tasks, prompts): the means of tasks other than each sample's, else zeros."""
        mean = self.with_batch.get(level, self.get_buffer(level))
        of_samples = task_indices(tasks, self.tasks, mean.device)
        others = 1 - one_hot(of_samples, len(self.tasks)).to(mean)
        return others[:, :, None] * mean


def shares(weights: Tensor) -> Tensor:
    """Return ``weights`` (..., prompts) divided by their sum over prompts."""
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(LEAST_LOAD)
