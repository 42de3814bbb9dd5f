"""PromptIR built from the published Restormer blocks, as its repository builds it: for benchmarks.

``spandrel_extra_arches`` (the extra ``noncommercial``) ships the Restormer code of swz30/Restormer,
from which PromptIR's net/model.py was made. Our network's own modules are replaced by the published
ones, so both have the same keys, parameters and results, and differ in how they compute them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from spandrel_extra_arches.architectures.Restormer.__arch import restormer_arch as published  # noqa: PLC2701 - the library exports it nowhere else
from torch import Tensor, nn

from harness.method import BuildContext, Routing
from methods.blocks import TransformerBlock, pad_to_multiple
from methods.prompting.prompt_module import PromptModule
from methods.promptir.network import PromptIR
from methods.promptir.spec import PromptIROptions
from methods.restormer_backbone import Features


class _PublishedPrompts(nn.Module):
    """PromptGenBlock of PromptIR: weights every prompt, sums, resizes, convolves."""

    def __init__(self, ours: PromptModule) -> None:
        super().__init__()
        self.prompt_param = nn.Parameter(ours.prompt_param.detach()[:, :].clone())
        self.linear_layer = ours.linear_layer
        self.conv3x3 = ours.conv3x3

    def forward(self, x: Tensor, forced: Tensor | None) -> tuple[Tensor, Routing]:
        n = x.shape[0]
        assert self.linear_layer is not None
        assert forced is None
        weights = F.softmax(self.linear_layer(x.mean(dim=(-2, -1))), dim=1)
        bank = self.prompt_param.unsqueeze(0).repeat(n, 1, 1, 1, 1, 1).squeeze(1)
        prompt = (weights[:, :, None, None, None] * bank).sum(dim=1)
        prompt = F.interpolate(prompt, x.shape[-2:], mode="bilinear")
        return self.conv3x3(prompt), Routing(weights, weights)


class PublishedPromptIR(PromptIR):
    """PromptIR in planar memory with the published blocks."""

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Features:
        """Encode without the layout and the bands of rows of ours."""
        image = pad_to_multiple(degraded, self.size_multiple)
        return Features(image, *self.run_encoder(image), *degraded.shape[-2:])


def build(context: BuildContext) -> PublishedPromptIR:
    """Build the published network with the weights that ours would begin with."""
    options: Any = context.options
    return publish(PromptIR(options, context.tasks))


def publish(network: PromptIR) -> PublishedPromptIR:
    """Return the published network with the weights of ``network``."""
    peer = PublishedPromptIR(network.prompting.options, network.prompting.tasks)
    peer.load_state_dict(network.state_dict())
    _replace(peer, network.prompting.options)
    peer.load_state_dict(network.state_dict())
    return peer


def _replace(module: nn.Module, options: PromptIROptions) -> None:
    for name, child in module.named_children():
        if isinstance(child, TransformerBlock):
            width = child.attn.qkv.in_channels
            heads = child.attn.temperature.shape[0]
            block = published.TransformerBlock(
                width, heads, options.ffn_expansion, False, "WithBias"
            )
            setattr(module, name, block)
        elif isinstance(child, PromptModule):
            setattr(module, name, _PublishedPrompts(child))
        else:
            _replace(child, options)
