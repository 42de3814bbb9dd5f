"""The numbers of samples' tasks, on the device that computes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def task_indices(tasks: Sequence[str], known: Sequence[str], device: torch.device) -> Tensor:
    """Return the number (N,) of each task among those that are ``known``; nothing is waited for.

    To index by a list of numbers would copy it to a GPU and wait until it has computed all that
    was asked of it before.
    """
    return torch.tensor([known.index(task) for task in tasks]).to(device, non_blocking=True)


def one_hot(indices: Tensor, count: int) -> Tensor:
    """Return (N, ``count``): true at the index of each of N, else false.

    Unlike torch's own it does not look whether an index is too large.
    """
    return indices[:, None] == torch.arange(count, device=indices.device)
