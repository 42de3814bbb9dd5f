"""How a router's logits become prompt weights: noise, temperature, selection and its bias.

Noise and top-k selection follow Shazeer et al., ICLR 2017 (arXiv 1701.06538), the bias on the
selection Wang et al., 2024 (arXiv 2408.15664). The sparse prompt module of CPL as released
(Aitical/CPLIR, basicsr/archs/cplir_inference_arch.py) has the selection alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.method import Routing
from methods.prompting.load_balancing import load_balancing_loss, selection_probability
from methods.prompting.options import PromptOptions, steps_of


@dataclass(frozen=True)
class Exploration:
    """What training adds to a router.

    Attributes:
        step: the optimisation step, on which the temperature depends.
        steps: optimisation steps of the whole training.
        rng: the source of noise.
    """

    step: int
    steps: int
    rng: torch.Generator


def temperature(options: PromptOptions, exploring: Exploration | None) -> float:
    """Return the softmax temperature: in training it falls geometrically to its last value."""
    last, first = options.router_temperature, options.router_temperature_start
    if exploring is None:
        return last
    falling = steps_of(options.router_temperature_decay, exploring.steps)
    if exploring.step >= falling:
        return last
    return float(first * (last / first) ** (exploring.step / falling))


def select_top_k(scores: Tensor, probabilities: Tensor, options: PromptOptions) -> Tensor:
    """Return the prompt weights: ``probabilities`` where ``scores`` are the top k, else zero.

    With ``routing_gradient=straight-through`` the values are the same and the gradient is that of
    all probabilities, so that a prompt which was not selected can gain probability. Otherwise a
    single renormalised prompt would not train its router, since p / p is constant.

    Args:
        scores: (N, prompts), by which prompts are selected.
        probabilities: (N, prompts), the router's softmax.
        options: ``top_k``, ``renormalise`` and ``routing_gradient``.
    """
    if options.top_k is None:
        return probabilities
    selected = scores.topk(options.top_k, dim=-1).indices
    weights = probabilities * torch.zeros_like(probabilities).scatter(-1, selected, 1.0)
    if options.renormalise:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    if options.routing_gradient == "straight-through":
        return weights.detach() + probabilities - probabilities.detach()
    return weights


def route(
    score: nn.Module,
    seen: Tensor,
    options: PromptOptions,
    exploring: Exploration | None,
    load_bias: Tensor | None,
) -> Routing:
    """Weigh prompts by the logits that ``score`` returns for the pooled features.

    Args:
        score: maps (N, inputs) to logits (N, prompts).
        seen: (N, inputs), the pooled features.
        options: noise, temperature, selection and load balancing.
        exploring: given in training.
        load_bias: (prompts,), added to the probabilities for the selection; see
            :func:`move_load_bias`.
    """
    logits = score(seen)
    noisy = _with_noise(logits, options.router_noise, exploring)
    probabilities = (noisy / temperature(options, exploring)).softmax(dim=-1)
    scores = probabilities if load_bias is None else probabilities + load_bias
    weights = select_top_k(scores, probabilities, options)
    if not _has_loss(options, exploring):
        return Routing(weights, probabilities)
    selection = None
    if options.load_balancing == "importance-load":
        deviation, top_k = options.router_noise, options.selected
        selection = selection_probability(logits, noisy, deviation, top_k)
    loss = load_balancing_loss(options.load_balancing, probabilities, selection)
    return Routing(weights, probabilities, options.load_balancing_weight * loss)


def initial_load_bias(options: PromptOptions) -> Tensor | None:
    """Return the initial bias (prompts,) on a router's selection, or None where it has none."""
    if options.load_balancing == "bias" and options.load_balancing_weight:
        return torch.zeros(options.prompts)
    return None


def _with_noise(logits: Tensor, deviation: float, exploring: Exploration | None) -> Tensor:
    """Return the logits, in training with Gaussian noise of ``deviation``."""
    if exploring is None or not deviation:
        return logits
    drawn = torch.randn(logits.shape, generator=exploring.rng).to(logits, non_blocking=True)
    return logits + deviation * drawn


@torch.no_grad()
def move_load_bias(load_bias: Tensor, weights: Tensor, step: float) -> None:
    """Raise the bias of prompts with less than the mean load by ``step``, and lower the others.

    The load is the share of ``weights`` (N, prompts) above zero. The bias moves in place.
    """
    load = (weights > 0).to(weights.dtype).mean(dim=0)
    load_bias += step * (load.mean() - load).sign()


def _has_loss(options: PromptOptions, exploring: Exploration | None) -> bool:
    """Return whether the router itself has a load-balancing loss."""
    if not options.load_balancing_weight or options.load_balancing == "bias":
        return False
    if options.teacher_weight:  # the loss is applied to the teacher router
        return False
    # Importance and load are defined by the noise, which only training adds.
    return options.load_balancing != "importance-load" or exploring is not None
