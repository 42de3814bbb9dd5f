"""Negatives of contrastive prompt regularisation: which prompts are wrong for a sample.

CPL (arXiv 2504.09973) shows negatives as prompts that the router did not choose, and as the
prompts of other tasks. Which of them its training uses is not public, so each kind is an option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.method import Routing
from methods.prompting.draws import drawn_rows
from methods.prompting.expert_load import LEAST_LOAD, ExpertLoad, shares
from methods.prompting.options import PromptOptions
from methods.task_indices import one_hot


@dataclass(frozen=True)
class Negatives:
    """Negatives of a batch of N samples, ``count`` for each.

    Attributes:
        override: per level, (count x N, prompts): the first negative of all samples, then the
            second of all, and so on.
        weights: (count, N) in [0, 1], how much each negative counts.
    """

    override: dict[str, Tensor]
    weights: Tensor


@dataclass(frozen=True)
class _Source:
    """What the negatives of one batch are drawn from."""

    tasks: tuple[str, ...]
    count: int
    expert_load: ExpertLoad | None
    rng: torch.Generator

    def load_of_other_tasks(self, level: str) -> Tensor:
        """Return (N, tasks, prompts), as :meth:`ExpertLoad.of_other_tasks`."""
        if self.expert_load is None:
            raise ValueError("these negatives need the tasks' mean routing")
        return self.expert_load.of_other_tasks(level, self.tasks)


@dataclass(frozen=True)
class _LevelNegatives:
    """Negatives at one level.

    Attributes:
        prompts: ``count`` tensors (N, prompts), each row with sum 1.
        weights: (N,), how much a sample's negatives count; None for 1.
    """

    prompts: list[Tensor]
    weights: Tensor | None = None


def draw_negatives(
    routing: Mapping[str, Routing],
    tasks: tuple[str, ...],
    options: PromptOptions,
    expert_load: ExpertLoad | None,
    rng: torch.Generator,
) -> Negatives | None:
    """Draw the negatives of a batch; None if the batch defines none.

    A negative gets the total weight of the selected prompts, so that its magnitude does not
    distinguish it. A gradient reaches the router through them with ``cpr_to_router`` alone.

    Args:
        routing: how the batch was routed, per level.
        tasks: N task names.
        options: kind and number of negatives.
        expert_load: mean routing of the tasks, for ``running-mean`` and ``in-use``.
        rng: source of all random choices.
    """
    source = _Source(tasks, options.cpr_count, expert_load, rng)
    if options.cpr_negatives == "other-task":
        return _other_samples(routing, source, options.cpr_to_router)
    draw = _DRAWS[options.cpr_negatives]
    override: dict[str, Tensor] = {}
    weights = []
    for level, routed in routing.items():
        drawn = draw(level, routed, source)
        if drawn is None:
            return None
        total = routed.weights.detach().sum(dim=-1, keepdim=True)
        override[level] = torch.cat([prompts * total for prompts in drawn.prompts])
        if drawn.weights is not None:
            weights.append(drawn.weights)
    first = next(iter(override.values()))
    per_sample = torch.stack(weights).mean(dim=0) if weights else first.new_ones(len(tasks))
    return Negatives(override, per_sample.expand(source.count, -1))


def _unselected_mask(routed: Routing) -> tuple[Tensor, Tensor]:
    """Return the detached weights (N, prompts), and 1 where a prompt was not selected."""
    weights = routed.weights.detach()
    return weights, (weights == 0).to(weights.dtype)


def _unselected(level: str, routed: Routing, source: _Source) -> _LevelNegatives:
    """Draw ``count`` different prompts per sample that were not selected."""
    weights, unselected = _unselected_mask(routed)
    drawn = torch.rand(weights.shape, generator=source.rng)
    keys = drawn.to(weights.device, non_blocking=True) + unselected
    order = keys.argsort(dim=-1, descending=True)[:, : source.count]
    prompts = []
    for number in range(source.count):
        index = order[:, number : number + 1]
        prompts.append(torch.zeros_like(weights).scatter(-1, index, 1.0))
    return _LevelNegatives(prompts)


def _mixture(level: str, routed: Routing, source: _Source) -> _LevelNegatives:
    """Mix all prompts that were not selected, by their probabilities."""
    if routed.probabilities is None:
        raise ValueError("a mixture of unselected prompts needs a router")
    _, unselected = _unselected_mask(routed)
    # A router that is certain gives the others nothing: then they get equal shares.
    probabilities = routed.probabilities.detach() + LEAST_LOAD
    return _LevelNegatives([shares(probabilities * unselected)])


def _in_use(level: str, routed: Routing, source: _Source) -> _LevelNegatives:
    """Draw prompts that were not selected, by how much other tasks use them."""
    weights, unselected = _unselected_mask(routed)
    load = shares(source.load_of_other_tasks(level).sum(dim=1)).to(weights)
    wanted = load * unselected
    drawn = drawn_rows(wanted + LEAST_LOAD * unselected, source.count, source.rng)
    prompts = []
    for number in range(source.count):
        prompts.append(one_hot(drawn[:, number], weights.shape[-1]).to(weights))
    # Where the other tasks use what this sample uses, its negatives do not count.
    return _LevelNegatives(prompts, wanted.sum(dim=-1))


def _running_mean(level: str, routed: Routing, source: _Source) -> _LevelNegatives | None:
    """Draw the mean routing of another task; None before one is known for every sample."""
    load = source.load_of_other_tasks(level).to(routed.weights.detach())
    known = (load.sum(dim=-1) > LEAST_LOAD).float()
    if not bool(known.any(dim=-1).all()):
        return None
    donors = drawn_rows(known, source.count, source.rng)
    samples = torch.arange(len(source.tasks), device=load.device)
    prompts = [shares(load[samples, donors[:, number]]) for number in range(source.count)]
    return _LevelNegatives(prompts)


_Draw = Callable[[str, Routing, _Source], _LevelNegatives | None]
_DRAWS: Mapping[str, _Draw] = {
    "unselected": _unselected,
    "mixture": _mixture,
    "in-use": _in_use,
    "running-mean": _running_mean,
}


def _other_samples(
    routing: Mapping[str, Routing], source: _Source, to_router: bool
) -> Negatives | None:
    """Give every sample the routing of a random sample of another task in the batch.

    None if some sample has no sample of another task in its batch.
    """
    if len(set(source.tasks)) < 2:
        return None
    different = _of_different_tasks(source.tasks)
    donors = torch.multinomial(different, source.count, replacement=True, generator=source.rng)
    override = {}
    for level, routed in routing.items():
        weights = routed.weights if to_router else routed.weights.detach()
        placed = donors.to(weights.device, non_blocking=True)
        by_negative = [weights[column] for column in placed.unbind(dim=1)]
        override[level] = torch.cat(by_negative)
    first = next(iter(override.values()))
    return Negatives(override, first.new_ones(source.count, len(source.tasks)))


def _of_different_tasks(tasks: tuple[str, ...]) -> Tensor:
    """Return (N, N): 1 where two samples are of different tasks, else 0."""
    names = sorted(set(tasks))
    indices = torch.tensor([names.index(task) for task in tasks])
    return (indices[:, None] != indices[None, :]).float()
