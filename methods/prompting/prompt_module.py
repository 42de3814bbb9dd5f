"""Prompt modules: a bank of learned maps and the router that weighs them.

Dense routing follows PromptIR's ``PromptGenBlock`` (Potlapalli et al., NeurIPS 2023,
repository va1shn9v/PromptIR, net/model.py). Top-k routing follows the sparse prompt module
of CPL as released (Aitical/CPLIR, basicsr/archs/cplir_inference_arch.py), where the selected
weights of the softmax are not renormalised.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Routing, RoutingVariant
from methods.prompting.load_bias import BiasedRouter
from methods.prompting.options import PromptOptions
from methods.prompting.pooling import NUMBERS_PER_CHANNEL, pooling
from methods.prompting.routing import Exploration


class PromptModule(BiasedRouter):
    """One level's prompts; keys as published (``prompt_param``, ``linear_layer``, ``conv3x3``).

    Args:
        features: channels of the features that are routed.
        dim: channels of the prompts.
        side: height and width of the prompts.
        options: their number, initial values and choice.
    """

    def __init__(self, features: int, dim: int, side: int, options: PromptOptions) -> None:
        # Where a router of its own does not choose, the level has none.
        routed = options.chooser == "router" and not options.shared_router
        super().__init__(options, routed)
        side = max(1, round(side * options.prompt_scale))
        self.prompt_param = nn.Parameter(_initial_prompts(dim, side, options))
        inputs = features * NUMBERS_PER_CHANNEL[options.router_pooling]
        self.linear_layer = nn.Linear(inputs, options.prompts) if routed else None
        self.conv3x3 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.residual = nn.Conv2d(features, dim, 1, bias=False) if options.residual_prompt else None

    def route(self, x: Tensor) -> Routing:
        """Weigh the prompts by the pooled features (N, C, H, W).

        Raises:
            ValueError: this level has no router, so the prompts have to be forced.
        """
        if self.linear_layer is None:
            raise ValueError("this prompt module has no router; give it the prompts to use")
        seen = pooling(x, self.options.router_pooling)
        return self.weigh(self.linear_layer, seen)

    def forward(self, x: Tensor, forced: Tensor | None) -> tuple[Tensor, Routing]:
        """Return the prompt map (N, D, H, W) for features (N, C, H, W), and its routing.

        ``forced`` (N, prompts) are weights that replace the router's.
        """
        routing = self.route(x) if forced is None else Routing(forced.to(x.dtype), None)
        bank = self.prompt_param[0]
        prompt = (routing.weights @ bank.flatten(1)).unflatten(1, bank.shape[1:])
        prompt = F.interpolate(prompt, x.shape[-2:], mode="bilinear")
        if self.residual is not None:
            prompt = prompt + self.residual(x)
        return self.conv3x3(prompt.contiguous(memory_format=torch.channels_last)), routing


def _initial_prompts(dim: int, side: int, options: PromptOptions) -> Tensor:
    """Draw the initial prompts, (1, prompts, dim, side, side)."""
    if options.prompt_init == "uniform":
        return torch.rand(1, options.prompts, dim, side, side)
    vectors = torch.randn(1, options.prompts, dim, 1, 1)
    return vectors.expand(-1, -1, -1, side, side).clone()


@contextmanager
def exploring(network: nn.Module, exploration: Exploration) -> Iterator[None]:
    """Make the routers of ``network`` explore meanwhile, as in training."""
    with _routers_with(network, "exploring", exploration):
        yield


@contextmanager
def routed_by(network: nn.Module, variant: RoutingVariant) -> Iterator[None]:
    """Make the routers of ``network`` weigh prompts by ``variant`` meanwhile."""
    with _routers_with(network, "variant", variant):
        yield


@contextmanager
def _routers_with(network: nn.Module, attribute: str, value: object) -> Iterator[None]:
    """Set what is None otherwise on the prompt modules and the shared router of ``network``."""
    routers = [module for module in network.modules() if isinstance(module, BiasedRouter)]
    for router in routers:
        setattr(router, attribute, value)
    try:
        yield
    finally:
        for router in routers:
            setattr(router, attribute, None)
