"""Initial weights and random draws, which the published classes leave to their training code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def scale_start(convolution: nn.Conv2d, gain: float) -> None:
    """Scale the initial weights, and the bias, of a network's last convolution."""
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter *= gain


@contextmanager
def drawing_from(rng: torch.Generator, device: torch.device) -> Iterator[None]:
    """Key torch's global generators by ``rng`` while the context lasts.

    Stochastic depth in spandrel's classes has no generator of its own. The generators of the CPU
    and of ``device`` are seeded from ``rng``, and have their former state afterwards.
    """
    seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
