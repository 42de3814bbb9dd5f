"""Draws by chances that are on the device: the host never asks for them."""

from __future__ import annotations

import torch
from torch import Tensor


def drawn_rows(chances: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Draw from each row of (N, K), in proportion to its chances, ``count`` times with replacement.

    The random numbers come from the CPU's ``rng``, as many and in the order in which
    ``torch.multinomial`` takes them on a CPU, so that the draws are the same. It would have to know
    the chances on the CPU.

    Returns:
        (N, count), indices into a row.
    """
    if count == 1:
        # The least of exponential numbers with the chances as their rates.
        waits = exponential(chances.shape, chances.dtype, rng)
        return (chances / waits.to(chances.device, non_blocking=True)).argmax(-1, keepdim=True)
    uniform = torch.rand(len(chances), count, dtype=torch.float64, generator=rng)
    reached = chances.cumsum(dim=-1)
    reached = reached / reached[:, -1:]
    reached[:, -1] = 1
    return torch.searchsorted(reached.double(), uniform.to(chances.device, non_blocking=True))


def exponential(shape: torch.Size, dtype: torch.dtype, rng: torch.Generator) -> Tensor:
    """Return exponential numbers of rate 1 on the CPU."""
    return torch.empty(shape, dtype=dtype).exponential_(generator=rng)
