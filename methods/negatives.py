"""Which prompts are wrong for a sample: the negatives of contrastive prompt regularisation.

CPL (arXiv 2504.09973) draws them as prompts that the router did not choose, and as the prompts of
other tasks; which of them its training takes is not public, so each kind is an option here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Routing
from methods.options import PromptOptions

_UNSEEN = 1e-6


@dataclass(frozen=True)
class Negatives:
    """Wrong prompts of a batch of N samples, ``count`` for each.

    Attributes:
        override: per level, (count x N, prompts): the first negative of all samples, the second …
        weights: (count, N) in [0, 1], how much each negative counts.
    """

    override: dict[str, Tensor]
    weights: Tensor


class Usage(nn.Module):
    """Mean routing of each task over the last batches; part of the state that a resume needs."""

    KINDS: ClassVar = ("running-mean", "in-use")

    def __init__(
        self, levels: Sequence[str], tasks: tuple[str, ...], options: PromptOptions
    ) -> None:
        super().__init__()
        self.tasks, self.decay = tasks, options.cpr_usage_decay
        for level in levels:
            self.register_buffer(level, torch.zeros(len(tasks), options.prompts))

    @torch.no_grad()
    def follow(self, routing: Mapping[str, Routing], tasks: Sequence[str]) -> None:
        """Take in a batch: the first sight of a task is its mean, later ones move it."""
        present = F.one_hot(self._indices(tasks), len(self.tasks)).float()
        counts = present.sum(dim=0)
        for level, routed in routing.items():
            mean = self.get_buffer(level)
            weights = _shares(routed.weights.float())
            of_batch = (present.T.to(weights) @ weights) / counts.clamp_min(1).to(weights)[:, None]
            new = mean.sum(dim=-1, keepdim=True) < _UNSEEN
            moved = torch.where(new, of_batch, mean * self.decay + of_batch * (1 - self.decay))
            mean.copy_(torch.where((counts > 0).to(mean.device)[:, None], moved, mean))

    def of_others(self, level: str, tasks: Sequence[str]) -> Tensor:
        """Return (N, tasks, prompts): the means of tasks other than each sample's, else zeros."""
        mean = self.get_buffer(level)
        others = 1 - F.one_hot(self._indices(tasks), len(self.tasks)).to(mean)
        return others[:, :, None] * mean

    def _indices(self, tasks: Sequence[str]) -> Tensor:
        return torch.tensor([self.tasks.index(task) for task in tasks])


def wrong_prompts(
    routing: Mapping[str, Routing],
    tasks: tuple[str, ...],
    options: PromptOptions,
    usage: Usage | None,
    rng: torch.Generator,
) -> Negatives | None:
    """Return the negatives of a batch; None if none is defined in it.

    A wrong prompt gets the total weight of the kept ones, so that its loudness does not give it
    away. Weights carry a gradient to the router with ``cpr_to_router`` alone.
    """
    kind, count = options.cpr_negatives, options.cpr_count
    if kind == "other-task":
        return _other_task(routing, tasks, count, options.cpr_to_router, rng)
    override: dict[str, Tensor] = {}
    weights = []
    for level, routed in routing.items():
        kept = routed.weights.detach()
        total = kept.sum(dim=-1, keepdim=True)
        left = (kept == 0).to(kept.dtype)
        if kind == "unselected":
            keys = torch.rand(kept.shape, generator=rng).to(kept.device) + left
            order = keys.argsort(dim=-1, descending=True)[:, :count]
            chosen = [torch.zeros_like(kept).scatter(-1, order[:, [i]], 1.0) for i in range(count)]
        elif kind == "mixture":
            # A router that is certain leaves nothing to the others: then they share alike.
            chosen = [_shares((_probabilities(routed) + _UNSEEN) * left)]
        elif usage is None:
            raise ValueError(f"negatives of kind {kind} need the tasks' mean routing")
        elif kind == "in-use":
            mean = _shares(usage.of_others(level, tasks).sum(dim=1)).to(kept)
            wanted = mean * left
            # Where the others live on what this sample has, there is nothing to push away.
            weights.append(wanted.sum(dim=-1))
            drawn = torch.multinomial((wanted + _UNSEEN * left).cpu(), count, True, generator=rng)
            chosen = [F.one_hot(drawn[:, i], kept.shape[-1]).to(kept) for i in range(count)]
        else:
            others = usage.of_others(level, tasks).to(kept)
            seen = (others.sum(dim=-1) > _UNSEEN).float()
            if not bool(seen.any(dim=-1).all()):
                return None
            donors = torch.multinomial(seen.cpu(), count, True, generator=rng).to(kept.device)
            rows = torch.arange(len(tasks), device=kept.device)
            chosen = [_shares(others[rows, donors[:, i]]) for i in range(count)]
        override[level] = torch.cat([one * total for one in chosen])
    first = next(iter(override.values()))
    counts = torch.stack(weights).mean(dim=0) if weights else first.new_ones(len(tasks))
    return Negatives(override, counts.expand(count, -1))


def _shares(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(_UNSEEN)


def _probabilities(routed: Routing) -> Tensor:
    if routed.probabilities is None:
        raise ValueError("a mixture of unselected prompts needs a router")
    return routed.probabilities.detach()


def _other_task(
    routing: Mapping[str, Routing],
    tasks: tuple[str, ...],
    count: int,
    to_router: bool,
    rng: torch.Generator,
) -> Negatives | None:
    """Give every sample the routing of a random sample of another task in the batch."""
    different = torch.tensor([[a != b for b in tasks] for a in tasks], dtype=torch.float32)
    if not bool(different.any(dim=-1).all()):
        # Some sample has no other task beside it; such a batch says nothing on wrong prompts.
        return None
    donors = torch.multinomial(different, count, replacement=True, generator=rng)
    override = {}
    for level, routed in routing.items():
        weights = routed.weights if to_router else routed.weights.detach()
        override[level] = torch.cat(
            [weights[donors[:, i].to(weights.device)] for i in range(count)]
        )
    return Negatives(override, next(iter(override.values())).new_ones(count, len(tasks)))
