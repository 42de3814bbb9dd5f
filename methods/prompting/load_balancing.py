"""Load-balancing losses, which keep a router from using only some of its prompts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_EPSILON = 1e-9


def load_balancing_loss(
    kind: str, probabilities: Tensor, selection_probabilities: Tensor | None = None
) -> Tensor:
    """Return the unweighted load-balancing loss of one router.

    Args:
        kind: ``share``, ``information`` or ``importance-load``: see :func:`share_loss`,
            :func:`information_loss` and :func:`importance_load_loss`.
        probabilities: (N, prompts), the router's softmax.
        selection_probabilities: for ``importance-load``, (N, prompts): see
            :func:`selection_probability`.

    Raises:
        ValueError: ``importance-load`` without selection probabilities.
    """
    if kind == "share":
        return share_loss(probabilities)
    if kind == "information":
        return information_loss(probabilities)
    if selection_probabilities is None:
        raise ValueError("importance and load are defined by a router's noise")
    return importance_load_loss(probabilities, selection_probabilities)


def share_loss(probabilities: Tensor) -> Tensor:
    """Return prompts x sum over prompts of (share of samples that choose it x mean probability).

    It is 1 when samples are spread evenly, and up to the number of prompts when all choose one
    (Fedus et al., JMLR 2022, arXiv 2101.03961, equation 4). The share has no gradient.
    """
    prompts = probabilities.shape[-1]
    chosen = F.one_hot(probabilities.argmax(dim=-1), prompts).to(probabilities.dtype)
    return prompts * (chosen.mean(dim=0) * probabilities.mean(dim=0)).sum()


def information_loss(probabilities: Tensor) -> Tensor:
    """Return the negative mutual information of sample and prompt, in units of log(prompts).

    It is the mean entropy of a sample's probabilities minus the entropy of their mean: -1 when
    every sample is certain and all prompts are used alike, 0 when the choice does not depend on
    the sample (Bridle et al., NeurIPS 1991).
    """
    prompts = probabilities.shape[-1]
    entropy_of_mean = _entropy(probabilities.mean(dim=0))
    mean_entropy = _entropy(probabilities).mean()
    return (mean_entropy - entropy_of_mean) / torch.tensor(float(prompts)).log()


def importance_load_loss(probabilities: Tensor, selection_probabilities: Tensor) -> Tensor:
    """Return the squared coefficients of variation of importance and load, summed.

    Importance is the sum of probabilities over samples, load the sum of the probabilities to be
    selected; 0 when both are even (Shazeer et al., ICLR 2017, arXiv 1701.06538, equations 6 to 11).
    """
    importance, load = probabilities.sum(dim=0), selection_probabilities.sum(dim=0)
    return _squared_variation(importance) + _squared_variation(load)


def selection_probability(logits: Tensor, noisy: Tensor, deviation: float, top_k: int) -> Tensor:
    """Return each prompt's probability (N, prompts) of being in the top k if its noise is redrawn.

    The other prompts' noisy logits stay as they were drawn (Shazeer et al., equation 9).

    Args:
        logits: (N, prompts) without noise.
        noisy: (N, prompts), the logits with the noise that was drawn.
        deviation: standard deviation of the noise.
        top_k: how many prompts are selected.
    """
    values = noisy.topk(min(top_k + 1, noisy.shape[-1]), dim=-1).values
    last_selected, first_unselected = values[:, top_k - 1 : top_k], values[:, -1:]
    # A prompt has to exceed the k-th largest logit among the others.
    threshold = torch.where(noisy >= last_selected, first_unselected, last_selected)
    return torch.special.ndtr((logits - threshold) / deviation)


def _entropy(probabilities: Tensor) -> Tensor:
    return -(probabilities * (probabilities + _EPSILON).log()).sum(dim=-1)


def _squared_variation(totals: Tensor) -> Tensor:
    return totals.var(correction=0) / (totals.mean() ** 2 + _EPSILON)
