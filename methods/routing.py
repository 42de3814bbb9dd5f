"""How a router sees features, keeps prompts, explores, and is kept from using only some.

Terms after Shazeer et al., ICLR 2017 (arXiv 1701.06538), Fedus et al., JMLR 2022 (arXiv
2101.03961) and Wang et al., 2024 (arXiv 2408.15664); the sparse prompt module of CPL as released
(Aitical/CPLIR, basicsr/archs/cplir_inference_arch.py) has none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Routing
from methods.options import PromptOptions

_EPSILON = 1e-9
_BANDS = 3
_LEAST_MAGNITUDE = 1e-3
_VARIANCE_EPSILON = 1e-4

SUMMARIES: Mapping[str, int] = {"mean": 1, "mean-deviation": 2, "frequency": _BANDS}
"""Kinds of router input, and how many numbers per channel each has."""


def summary(x: Tensor, kind: str) -> Tensor:
    """Summarise features (N, C, H, W) as (N, C times :data:`SUMMARIES`).

    ``mean`` is the published input. ``mean-deviation`` adds the standard deviation over pixels.
    ``frequency`` is the logarithm of the mean magnitude in octave bands, from the finest down:
    differences of averages over squares of 1, 2, 4 and 8 pixels; where the features are too small
    for a band, it counts as empty. A degradation scales bands, an image fills them: in logarithms
    the one is a shift.
    """
    if kind == "frequency":
        bands, finer = [], x
        for _ in range(_BANDS):
            if min(finer.shape[-2:]) < 2:
                bands.append(x.new_zeros(x.shape[:2]))
                continue
            finer = finer[..., : finer.shape[-2] // 2 * 2, : finer.shape[-1] // 2 * 2]
            coarser = F.avg_pool2d(finer, 2)
            detail = finer - F.interpolate(coarser, scale_factor=2)
            bands.append(detail.abs().mean(dim=(-2, -1)))
            finer = coarser
        return torch.cat([(band + _LEAST_MAGNITUDE).log() for band in bands], dim=1)
    mean = x.mean(dim=(-2, -1))
    if kind == "mean":
        return mean
    return torch.cat([mean, x.var(dim=(-2, -1), correction=0).add(_EPSILON).sqrt()], dim=1)


@dataclass(frozen=True)
class Exploration:
    """What training adds to a router: the step, for schedules, and the source of its noise."""

    step: int
    rng: torch.Generator


def temperature(options: PromptOptions, exploring: Exploration | None) -> float:
    """Return the softmax temperature: in training it falls geometrically to its last value."""
    last, steps = options.router_temperature, options.router_temperature_steps
    if exploring is None or exploring.step >= steps:
        return last
    first = options.router_temperature_start
    return float(first * (last / first) ** (exploring.step / steps))


def keep_largest(scores: Tensor, probabilities: Tensor, options: PromptOptions) -> Tensor:
    """Return the weights of the prompts: ``probabilities`` where ``scores`` are the top k.

    With ``routing_gradient=straight-through`` the values are the same and the gradient is that of
    all probabilities, so that a prompt which was not kept can still be preferred. A single kept
    prompt at full weight would teach its router nothing otherwise: p / p is constant.
    """
    if options.top_k is None:
        return probabilities
    kept = scores.topk(options.top_k, dim=-1).indices
    weights = probabilities * torch.zeros_like(probabilities).scatter(-1, kept, 1.0)
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
    """Weigh prompts by the logits that ``score`` gives to what the router sees, (N, inputs).

    ``load_bias`` (prompts,) leans the choice and, in training, is moved in place towards prompts
    that are kept less often than the mean.
    """
    logits = score(seen)
    noisy = logits
    if exploring is not None and options.router_noise:
        drawn = torch.randn(logits.shape, generator=exploring.rng).to(logits)
        noisy = logits + options.router_noise * drawn
    probabilities = (noisy / temperature(options, exploring)).softmax(dim=-1)
    scores = probabilities if load_bias is None else probabilities + load_bias
    weights = keep_largest(scores, probabilities, options)
    if load_bias is not None and exploring is not None:
        with torch.no_grad():
            load = (weights > 0).to(weights.dtype).mean(dim=0)
            load_bias += options.balance_weight * (load.mean() - load).sign()
    if not options.balance_weight or options.balance == "bias" or options.privileged_weight:
        return Routing(weights, probabilities)
    kept = None
    if options.balance == "importance-load":
        if exploring is None:  # without noise there is no such chance, nor a training
            return Routing(weights, probabilities)
        kept = chance_to_be_kept(logits, noisy, options.router_noise, options.kept)
    term = options.balance_weight * balance(options.balance, probabilities, kept)
    return Routing(weights, probabilities, term)


def load_bias_of(options: PromptOptions) -> Tensor | None:
    """Return the start of a router's bias, where the options ask for one."""
    asked = options.balance == "bias" and options.balance_weight
    return torch.zeros(options.prompts) if asked else None


class RunningNorm(nn.Module):
    """Standardises each number by its running mean and variance over training samples.

    Unlike batch normalisation it uses them in training too: the statistics of a batch of five
    samples of five tasks say little. State that a resume needs stands in buffers.
    """

    LEAST_STEP: ClassVar = 0.02

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("variance", torch.ones(inputs))
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, inputs) standardised; in training mode, take it into the statistics first."""
        mean, variance = self.get_buffer("mean"), self.get_buffer("variance")
        if self.training:
            with torch.no_grad():
                count = self.get_buffer("batches").add_(1)
                # A plain mean of all batches at first, then an exponential one.
                step = (1 / count).clamp_min(self.LEAST_STEP)
                mean.lerp_(x.mean(dim=0).to(mean), step)
                variance.lerp_((x.to(mean) - mean).square().mean(dim=0), step)
        return (x - mean) / (variance + _VARIANCE_EPSILON).sqrt()


class SharedRouter(nn.Module):
    """One router for all levels, which sees the encoder's first map.

    There a degradation is as it came, before the encoder has mixed it with content. The encoder
    learns nothing from the router: a loss that shares prompts out must not bend the features that
    restore.

    Args:
        channels: of the first map.
        options: what the router sees of it, and how it chooses.
    """

    def __init__(self, channels: int, options: PromptOptions) -> None:
        super().__init__()
        self.options = options
        inputs, hidden = channels * SUMMARIES[options.router_input], options.router_hidden
        # By running statistics, not by layer norm: how much fine detail a map has in all is what
        # tells light noise and haze from rain.
        self.norm = RunningNorm(inputs)
        self.score: nn.Module = nn.Linear(inputs, options.prompts)
        if hidden:
            self.score = nn.Sequential(
                nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, options.prompts)
            )
        self.register_buffer("load_bias", load_bias_of(options))
        self.exploring: Exploration | None = None

    def forward(self, first: Tensor) -> Routing:
        """Weigh the prompts by the encoder's first map (N, C, H, W)."""
        seen = self.norm(summary(first.detach(), self.options.router_input))
        bias = self._buffers["load_bias"]
        return route(self.score, seen, self.options, self.exploring, bias)


class PrivilegedRouter(nn.Module):
    """Sorts training samples by what was done to them: it sees degraded minus clean.

    Only training has the clean image; the router that is used learns to agree with this one from
    the degraded image alone. It is told no task: it groups differences, so that samples of a group
    are alike and groups are used alike. (The released CPL names something ``privilege_post`` and
    does not define it; that its training used the clean image so is a guess.)
    """

    def __init__(self, options: PromptOptions) -> None:
        super().__init__()
        self.options = options
        # Three channels, each in octave bands and as a whole.
        self.linear_layer = nn.Linear(3 * (_BANDS + 1), options.prompts)

    def forward(self, degraded: Tensor, clean: Tensor) -> Routing:
        """Weigh the prompts for images (N, 3, H, W); the balance comes weighted."""
        done = degraded - clean
        whole = (done.abs().mean(dim=(-2, -1)) + _LEAST_MAGNITUDE).log()
        logits = self.linear_layer(torch.cat([summary(done, "frequency"), whole], dim=1))
        probabilities = (logits / self.options.router_temperature).softmax(dim=-1)
        term = balance(self.options.balance, probabilities, None)
        chosen = keep_largest(probabilities, probabilities, self.options).detach()
        return Routing(chosen, probabilities, self.options.balance_weight * term)


def balance(kind: str, probabilities: Tensor, kept_under_noise: Tensor | None) -> Tensor:
    """Return the unweighted balance of one level's router, (N, prompts) each.

    - ``share``: prompts x sum over prompts of (share of samples that choose it x mean
      probability); 1 when spread evenly, up to the number of prompts when all choose one (Fedus
      et al., equation 4). The share has no gradient.
    - ``importance-load``: squared coefficients of variation, over prompts, of summed
      probabilities and of summed chances to be kept under the router's noise (Shazeer et al.,
      equations 6 to 11); 0 when even.
    - ``information``: mean entropy of a sample's probabilities minus the entropy of their mean,
      in units of log(prompts): -1 when every sample is sure and all prompts are used alike, 0
      when the choice says nothing about the sample. It is the mutual information of sample and
      prompt with its sign turned (Bridle et al., NeurIPS 1991).
    """
    prompts = probabilities.shape[-1]
    if kind == "share":
        chosen = F.one_hot(probabilities.argmax(dim=-1), prompts).to(probabilities.dtype)
        return prompts * (chosen.mean(dim=0) * probabilities.mean(dim=0)).sum()
    if kind == "information":
        of_mean = _entropy(probabilities.mean(dim=0))
        return (_entropy(probabilities).mean() - of_mean) / torch.tensor(float(prompts)).log()
    if kept_under_noise is None:
        raise ValueError("importance and load are defined by a router's noise")
    return _variation(probabilities.sum(dim=0)) + _variation(kept_under_noise.sum(dim=0))


def chance_to_be_kept(logits: Tensor, noisy: Tensor, deviation: float, top_k: int) -> Tensor:
    """Return each prompt's chance (N, prompts) to be among the top k if its noise is redrawn.

    Equation 9 of Shazeer et al.: the others' noisy logits stay as they were drawn.
    """
    values = noisy.topk(min(top_k + 1, noisy.shape[-1]), dim=-1).values
    last_kept, first_left = values[:, top_k - 1 : top_k], values[:, -1:]
    # What a prompt has to pass: the k-th largest among the others.
    to_pass = torch.where(noisy >= last_kept, first_left, last_kept)
    return torch.special.ndtr((logits - to_pass) / deviation)


def _entropy(probabilities: Tensor) -> Tensor:
    return -(probabilities * (probabilities + _EPSILON).log()).sum(dim=-1)


def _variation(totals: Tensor) -> Tensor:
    return totals.var(correction=0) / (totals.mean() ** 2 + _EPSILON)
