"""Other ways to weigh prompts at test by what a trained router says; nothing is trained again.

A sparse router that is sure of a wrong prompt restores an image it was never trained on worse than
it was. Each variant mixes more prompts: of every image, or of those that the router is unsure of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.method import Routing, RoutingVariant
from methods.prompting.options import PromptOptions
from methods.prompting.routing import select_top_k

_MORE_PROMPTS = (1, 2)
_TEMPERATURES = (2.0, 4.0)
_LEAST_PROBABILITIES = (0.5, 0.9)


@dataclass(frozen=True)
class Selection:
    """Selects by other options than in training, of a softmax that may be flatter.

    Attributes:
        name: in tables.
        options: ``top_k`` and ``renormalise`` say how many prompts are selected, and whether
            their weights are scaled to sum to one.
        temperature: factor on the temperature of the router's softmax.
    """

    name: str
    options: PromptOptions
    temperature: float = 1.0

    def weights(self, trained: Routing, load_bias: Tensor | None = None) -> Tensor:
        """Return the weights (N, prompts) in place of the trained ones."""
        probabilities = _probabilities(trained)
        if self.temperature != 1.0:
            # The logarithms are the logits but for a constant, which the softmax drops.
            probabilities = (probabilities.log() / self.temperature).softmax(dim=-1)
        scores = probabilities if load_bias is None else probabilities + load_bias
        return select_top_k(scores, probabilities, self.options)

    def keeps(self, trained: Routing) -> bool:
        """Return False: every image is weighed anew."""
        return False


@dataclass(frozen=True)
class FallBack:
    """Mixes all prompts by their probabilities where the router is unsure.

    Attributes:
        name: in tables.
        least_probability: the router is sure where its largest probability is no less; 0 leaves
            all images as trained, and 1 is dense routing.
    """

    name: str
    least_probability: float

    def weights(self, trained: Routing, load_bias: Tensor | None = None) -> Tensor:
        """Return the weights (N, prompts) in place of the trained ones."""
        return torch.where(self._unsure(trained)[:, None], _probabilities(trained), trained.weights)

    def keeps(self, trained: Routing) -> bool:
        """Return whether the router is sure of every image."""
        return not bool(self._unsure(trained).any())

    def _unsure(self, trained: Routing) -> Tensor:
        return _probabilities(trained).max(dim=-1).values < self.least_probability


def routing_variants(options: PromptOptions) -> tuple[RoutingVariant, ...]:
    """Return the variants of a router that selects some of its prompts; of others there are none.

    Selected weights are scaled to sum to one where training did so. Where it did not, the scaled
    ones are variants of their own, so that the number of prompts and their total weight are told
    apart. A temperature has no effect on a single prompt whose weight is one; all prompts are then
    mixed at that temperature.
    """
    trained_k = options.top_k
    if options.chooser != "router" or trained_k is None or trained_k >= options.prompts:
        return ()
    found: list[RoutingVariant] = []
    for more in _MORE_PROMPTS:
        top_k = trained_k + more
        if top_k < options.prompts:
            found.append(Selection(f"top-{top_k}", replace(options, top_k=top_k)))
    if not options.renormalise:
        for top_k in (trained_k, trained_k + 1):
            if top_k < options.prompts:
                scaled = replace(options, top_k=top_k, renormalise=True)
                found.append(Selection(f"top-{top_k}, sum 1", scaled))
    found += _tempered(options)
    for least in _LEAST_PROBABILITIES:
        found.append(FallBack(f"dense below {least:g}", least))
    return (*found, FallBack("dense", 1.0))


def _tempered(options: PromptOptions) -> list[RoutingVariant]:
    found: list[RoutingVariant] = []
    for temperature in _TEMPERATURES:
        if options.top_k == 1 and options.renormalise:
            dense, name = replace(options, top_k=None), f"dense, temperature {temperature:g}"
            found.append(Selection(name, dense, temperature))
        else:
            found.append(Selection(f"temperature {temperature:g}", options, temperature))
    return found


def _probabilities(trained: Routing) -> Tensor:
    """Return the router's softmax; raises :class:`ValueError` where the choice was forced."""
    if trained.probabilities is None:
        raise ValueError("prompts that were forced have no probabilities to weigh them by")
    return trained.probabilities
