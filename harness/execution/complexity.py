"""What a network costs: parameters, and multiply-accumulates by torch's own counter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.method import BuildContext, MethodSpec
from harness.registry import catalogue, instantiate, parse_options

SIDE_PX = 256
_TASKS = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True)
class Counts:
    """Parameters, and multiply-accumulates for one square image."""

    parameters: int
    macs: int


def count(card: MethodSpec, side_px: int = SIDE_PX) -> Counts:
    """Build the network of ``card`` at full size without memory for it, and count.

    Products and convolutions count, as far as torch's counter knows them; element-wise work
    does not, nor do deformable convolutions. Tasks are five, as in the three-task setting.
    Networks whose path depends on values are run in earnest, with keyed initial weights.
    """
    try:
        return _count(card, "meta", side_px)
    except (RuntimeError, NotImplementedError):
        return _count(card, "cpu", side_px)


def _count(card: MethodSpec, device: str, side_px: int) -> Counts:
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(0)
        network = _build(card)
        image = torch.full((1, 3, side_px, side_px), 0.5)
    tasks = _TASKS[:1] if card.needs_task_labels else None
    with FlopCounterMode(display=False) as counter:
        network.eval().restore(image, tasks)
    parameters = sum(p.numel() for p in network.parameters())
    return Counts(parameters, counter.get_total_flops() // 2)


def _build(card: MethodSpec) -> Any:
    options = parse_options(card, {**card.defaults, **card.sizes.get("full", {})})
    required = {name: _build(catalogue().specs[name]) for name in card.requires}
    network: Any = instantiate(card, BuildContext(options, _TASKS, required))
    return network
