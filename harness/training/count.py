"""What a network costs: parameters, and multiply-accumulates by torch's own counter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.method import BuildContext, MethodCard
from harness.registry import catalogue, instantiate, parse_options

SIDE_PX = 256
_TASKS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Counts:
    """Parameters, and multiply-accumulates for one image of 256x256."""

    parameters: int
    macs: int


def count(card: MethodCard) -> Counts:
    """Build the network of ``card`` at full size without memory for it, and count.

    Products and convolutions count, as far as torch's counter knows them; element-wise work
    does not. Tasks are five, as in the three-task setting. Networks whose path depends on values
    are run in earnest.
    """
    try:
        return _count(card, "meta")
    except (RuntimeError, NotImplementedError):
        return _count(card, "cpu")


def _count(card: MethodCard, device: str) -> Counts:
    with torch.device(device):
        network = _build(card)
        image = torch.full((1, 3, SIDE_PX, SIDE_PX), 0.5)
    tasks = _TASKS[:1] if card.given_true_task else None
    with FlopCounterMode(display=False) as counter:
        network.eval().restore(image, tasks)
    parameters = sum(p.numel() for p in network.parameters())
    return Counts(parameters, counter.get_total_flops() // 2)


def _build(card: MethodCard) -> Any:
    options = parse_options(card, {**card.defaults, **card.sizes.get("full", {})})
    required = {name: _build(catalogue().cards[name]) for name in card.requires}
    network: Any = instantiate(card, BuildContext(options, _TASKS, required))
    return network
