"""Prompt modules: a bank of learned maps and the router that weighs them.

Dense routing follows PromptIR's ``PromptGenBlock`` (Potlapalli et al., NeurIPS 2023,
repository va1shn9v/PromptIR, net/model.py); top-k routing follows the sparse prompt module
of CPL as released (Aitical/CPLIR, basicsr/archs/cplir_inference_arch.py), where the kept
weights of the softmax are not renormalised.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Routing
from methods.options import PromptOptions


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
        self.top_k = options.top_k
        self.renormalise = options.renormalise
        if options.prompt_init == "uniform":
            initial = torch.rand(1, options.prompts, dim, side, side)
        else:
            vectors = torch.randn(1, options.prompts, dim, 1, 1)
            initial = vectors.expand(-1, -1, -1, side, side).clone()
        self.prompt_param = nn.Parameter(initial)
        # Without a router's choice there is nothing for a router to learn.
        routed = options.chooser == "router"
        self.linear_layer = nn.Linear(features, options.prompts) if routed else None
        self.conv3x3 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)

    def route(self, x: Tensor) -> Routing:
        """Weigh the prompts by the mean feature of (N, C, H, W).

        Raises:
            ValueError: something other than a router chooses, and no choice was given.
        """
        if self.linear_layer is None:
            raise ValueError("this prompt module has no router; give it the prompts to use")
        probabilities = self.linear_layer(x.mean(dim=(-2, -1))).softmax(dim=-1)
        if self.top_k is None:
            return Routing(weights=probabilities, probabilities=probabilities)
        kept = probabilities.topk(self.top_k, dim=-1).indices
        weights = probabilities * torch.zeros_like(probabilities).scatter(-1, kept, 1.0)
        if self.renormalise:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return Routing(weights=weights, probabilities=probabilities)

    def forward(self, x: Tensor, forced: Tensor | None) -> tuple[Tensor, Routing]:
        """Return the prompt map (N, D, H, W) for features (N, C, H, W), and its routing."""
        routing = self.route(x) if forced is None else Routing(forced.to(x.dtype), None)
        bank = self.prompt_param[0]
        prompt = (routing.weights @ bank.flatten(1)).unflatten(1, bank.shape[1:])
        prompt = F.interpolate(prompt, x.shape[-2:], mode="bilinear")
        return self.conv3x3(prompt.contiguous(memory_format=torch.channels_last)), routing


def balance(probabilities: Tensor) -> Tensor:
    """Return prompts x sum over prompts of (share of samples that choose it x mean probability).

    1 when the batch is spread evenly, up to the number of prompts when all choose one
    (Fedus et al., Switch Transformers, JMLR 2022, equation 4). The share has no gradient.
    """
    prompts = probabilities.shape[-1]
    share = F.one_hot(probabilities.argmax(dim=-1), prompts).to(probabilities.dtype).mean(dim=0)
    return prompts * (share * probabilities.mean(dim=0)).sum()
