"""The outcome loss: it trains a router by how well the prompts it could have chosen restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harness.method import Override, Routing

_EPSILON = 1e-9
_LEAST_ERROR = 1e-6


def outcome_loss(restored: Sequence[Tensor], clean: Tensor, probabilities: Tensor) -> Tensor:
    """Return the expected log error under the router's candidates, relative to the chosen one's.

    It is the mean over samples of the sum over candidates of q log(e / e of the chosen one): q is
    ``probabilities``, e the mean absolute error of a restoration, which has no gradient. The
    restorations under negatives are those that CPR needs, and no task label is used.

    Args:
        restored: (N, 3, H, W) each: under the chosen prompts first, then under each negative.
        clean: (N, 3, H, W).
        probabilities: (candidates, N): see :func:`candidate_probabilities`.
    """
    error = torch.stack([_mean_absolute_error(image, clean) for image in restored])
    gain = (error / error[:1]).log()
    return (probabilities * gain).sum(dim=0).mean()


def candidate_probabilities(
    routing: Mapping[str, Routing], override: Override, count: int
) -> Tensor:
    """Return the router's softmax over the chosen prompts and ``count`` negatives, (1 + count, N).

    The score of a candidate is the mean log-probability of its prompts, by their weights, summed
    over routers: levels that share a router count once.

    Args:
        routing: the router's choice per level.
        override: the negatives per level, (count x N, prompts).
        count: negatives per sample.

    Raises:
        ValueError: a level was not routed by a router.
    """
    scores: dict[int, Tensor] = {}
    for level, routed in routing.items():
        if routed.probabilities is None:
            raise ValueError("an outcome loss trains a router, and none chose the prompts")
        log_probabilities = (routed.probabilities + _EPSILON).log()
        candidates = torch.stack([routed.weights, *override[level].chunk(count)]).detach()
        shares = candidates / candidates.sum(dim=-1, keepdim=True).clamp_min(_EPSILON)
        scores[id(routed.probabilities)] = (shares * log_probabilities).sum(dim=-1)
    return torch.stack(list(scores.values())).sum(dim=0).softmax(dim=0)


@torch.no_grad()
def _mean_absolute_error(restored: Tensor, clean: Tensor) -> Tensor:
    """Return the mean absolute error of each sample, (N,)."""
    return (restored - clean).abs().flatten(1).mean(dim=1).clamp_min(_LEAST_ERROR)
