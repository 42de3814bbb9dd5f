"""How many negatives keep the maps of their decoding at a time.

The gradient of a negative needs the maps of its decoding, which for a wide network are gigabytes.
Where all negatives together would keep more than a budget, they are decoded in chunks, and the maps
of all chunks but the last are computed again when their gradient is (Chen et al., 2016, arXiv
1604.06174). Any loss may compare the negatives, and gradients are the same but for rounding.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from harness.method import OptionError, note_runtime
from methods.prompting.negatives import Negatives

BUDGET = "HARNESS_NEGATIVES_GIB"
"""Environment variable: GiB of maps that the negatives of a step may keep; 4 without it."""

_DEFAULT_GIB = "4"


def budget_bytes() -> int:
    """Return the budget that the environment gives.

    Raises:
        OptionError: it is no number above zero.
    """
    text = os.environ.get(BUDGET) or _DEFAULT_GIB
    try:
        gib = float(text)
    except ValueError:
        gib = math.nan
    if not 0 < gib < math.inf:
        raise OptionError(f"{BUDGET}={text} is no number of GiB above 0; set one such as 4")
    return int(gib * 2**30)


class NegativeMemory:
    """Measures what a decoding keeps for its gradient, and divides negatives accordingly.

    What is kept depends on the shape of the batch alone, so a resumed training divides alike.
    """

    def __init__(self) -> None:
        self.budget_bytes = budget_bytes()
        self.kept_bytes: dict[tuple[object, ...], int] = {}

    @contextmanager
    def measured(self, degraded: Tensor) -> Iterator[None]:
        """Count what the decoding of a batch (N, 3, H, W) keeps, at the first of its shape."""
        key = _key(degraded)
        if key in self.kept_bytes or torch.compiler.is_compiling():
            yield
            return
        storages: dict[int, torch.UntypedStorage] = {}

        def count(tensor: Tensor) -> Tensor:
            if not tensor.is_leaf:  # parameters are kept anyway
                storage = tensor.untyped_storage()
                storages[id(storage)] = storage
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            yield
        self.kept_bytes[key] = sum(storage.nbytes() for storage in storages.values())

    def at_once(self, degraded: Tensor, count: int) -> int:
        """Return how many of ``count`` negatives of a batch are decoded together."""
        kept = self.kept_bytes.get(_key(degraded), 0)
        if count * kept <= self.budget_bytes:
            return count
        size = max(1, min(count, self.budget_bytes // kept))
        note_runtime("negatives", f"{size} of {count} at a time, under {BUDGET}")
        return size


def _key(degraded: Tensor) -> tuple[object, ...]:
    return (*degraded.shape, torch.is_autocast_enabled(degraded.device.type))


def decoded_in_chunks(
    decode: Callable[[dict[str, Tensor], int], Tensor], negatives: Negatives, size: int
) -> Tensor:
    """Decode negatives, ``size`` at a time, of which the last chunk alone keeps its maps.

    The last is differentiated first, so no two chunks have their maps at the same time.

    Args:
        decode: returns the restorations (count x N, 3, H, W) under an override of as many rows.
        negatives: of the batch.
        size: negatives in a chunk.
    """
    count, samples = negatives.weights.shape
    restored = []
    for first in range(0, count, size):
        held = min(size, count - first)
        rows = slice(first * samples, (first + held) * samples)
        override = {level: prompts[rows] for level, prompts in negatives.override.items()}
        if first + held == count:
            restored.append(decode(override, held))
        else:
            restored.append(checkpoint(decode, override, held, use_reentrant=False))
    return torch.cat(restored)
