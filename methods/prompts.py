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
    SharedRouter,
    load_bias_of,
    route,
    summary,
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
        routed = options.chooser == "router" and not options.shared_router
        inputs = features * SUMMARIES[options.router_input]
        self.linear_layer = nn.Linear(inputs, options.prompts) if routed else None
        self.conv3x3 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.residual = nn.Conv2d(features, dim, 1, bias=False) if options.residual_prompt else None
        self.exploring: Exploration | None = None
        self.register_buffer("load_bias", load_bias_of(options) if routed else None)

    def route(self, x: Tensor) -> Routing:
        """Weigh the prompts by a summary of (N, C, H, W).

        Raises:
            ValueError: something other than this level's router chooses, and gave no choice.
        """
        if self.linear_layer is None:
            raise ValueError("this prompt module has no router; give it the prompts to use")
        seen = summary(x, self.options.router_input)
        bias = self._buffers["load_bias"]
        return route(self.linear_layer, seen, self.options, self.exploring, bias)

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
    kinds = (PromptModule, SharedRouter)
    modules = [module for module in network.modules() if isinstance(module, kinds)]
    for module in modules:
        module.exploring = Exploration(step, rng)
    try:
        yield
    finally:
        for module in modules:
            module.exploring = None
