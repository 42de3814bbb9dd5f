"""Prompt modules: a bank of learned maps and the router that weighs them.

Dense routing follows PromptIR's ``PromptGenBlock`` (Potlapalli et al., NeurIPS 2023,
repository va1shn9v/PromptIR, net/model.py); top-k routing follows the sparse prompt module
of CPL as released (Aitical/CPLIR, basicsr/archs/cplir_inference_arch.py), where the kept
weights of the softmax are not renormalised.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Routing
from methods.options import PromptOptions
from methods.routing import (
    SUMMARIES,
    Exploration,
    balance,
    chance_to_be_kept,
    keep_largest,
    summary,
    temperature,
)


class PromptModule(nn.Module):
    """One level's prompts; keys as published (``prompt_param``, ``linear_layer``, ``conv3x3``).

    Args:
        features: channels of the features that are routed.
        dim: channels of the prompts.
        side: height and width of the prompts.
        options: their number, start and choice.
    """

    def __init__(self, features: int, dim: int, side: int, options: PromptOptions) -> None:
        super().__init__()
        self.options = options
        side = max(1, round(side * options.prompt_scale))
        if options.prompt_init == "uniform":
            initial = torch.rand(1, options.prompts, dim, side, side)
        else:
            vectors = torch.randn(1, options.prompts, dim, 1, 1)
            initial = vectors.expand(-1, -1, -1, side, side).clone()
        self.prompt_param = nn.Parameter(initial)
        # Without a router's choice there is nothing for a router to learn.
        routed = options.chooser == "router"
        inputs = features * SUMMARIES[options.router_input]
        self.linear_layer = nn.Linear(inputs, options.prompts) if routed else None
        self.conv3x3 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.residual = nn.Conv2d(features, dim, 1, bias=False) if options.residual_prompt else None
        self.exploring: Exploration | None = None
        if routed and options.balance == "bias" and options.balance_weight:
            self.register_buffer("load_bias", torch.zeros(options.prompts))

    def route(self, x: Tensor) -> Routing:
        """Weigh the prompts by a summary of (N, C, H, W).

        Raises:
            ValueError: something other than a router chooses, and no choice was given.
        """
        if self.linear_layer is None:
            raise ValueError("this prompt module has no router; give it the prompts to use")
        options, exploring = self.options, self.exploring
        logits = self.linear_layer(summary(x, options.router_input))
        noisy = logits
        if exploring is not None and options.router_noise:
            drawn = torch.randn(logits.shape, generator=exploring.rng).to(logits)
            noisy = logits + options.router_noise * drawn
        probabilities = (noisy / temperature(options, exploring)).softmax(dim=-1)
        biased = "load_bias" in self._buffers
        scores = probabilities + self.get_buffer("load_bias") if biased else probabilities
        weights = keep_largest(scores, probabilities, options)
        if biased and exploring is not None:
            self._lean(weights)
        return Routing(weights, probabilities, self._balance(logits, noisy, probabilities))

    def _balance(self, logits: Tensor, noisy: Tensor, probabilities: Tensor) -> Tensor | None:
        options = self.options
        if not options.balance_weight or options.balance == "bias":
            return None
        kept = None
        if options.balance == "importance-load":
            if self.exploring is None:  # without noise there is no such chance, nor a training
                return None
            kept = chance_to_be_kept(logits, noisy, options.router_noise, options.kept)
        return options.balance_weight * balance(options.balance, probabilities, kept)

    @torch.no_grad()
    def _lean(self, weights: Tensor) -> None:
        """Move the bias of prompts kept less often than the mean up, of others down."""
        load = (weights > 0).to(weights.dtype).mean(dim=0)
        step = self.options.balance_weight * (load.mean() - load).sign()
        self.get_buffer("load_bias").add_(step)

    def forward(self, x: Tensor, forced: Tensor | None) -> tuple[Tensor, Routing]:
        """Return the prompt map (N, D, H, W) for features (N, C, H, W), and its routing."""
        routing = self.route(x) if forced is None else Routing(forced.to(x.dtype), None)
        bank = self.prompt_param[0]
        prompt = (routing.weights @ bank.flatten(1)).unflatten(1, bank.shape[1:])
        prompt = F.interpolate(prompt, x.shape[-2:], mode="bilinear")
        if self.residual is not None:
            prompt = prompt + self.residual(x)
        return self.conv3x3(prompt.contiguous(memory_format=torch.channels_last)), routing


@contextmanager
def exploring(network: nn.Module, step: int, rng: torch.Generator) -> Iterator[None]:
    """Let the routers of ``network`` explore meanwhile, as training at ``step`` does."""
    modules = [module for module in network.modules() if isinstance(module, PromptModule)]
    for module in modules:
        module.exploring = Exploration(step, rng)
    try:
        yield
    finally:
        for module in modules:
            module.exploring = None
