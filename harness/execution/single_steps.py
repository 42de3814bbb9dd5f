"""The parts of a training one at a time, as measurements need them: steps, and batches ahead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn

from harness.config.run_specs import TrainSpec
from harness.method import Method
from harness.training.arithmetic import use_channels_last
from harness.training.batches import batches
from harness.training.device import computes_bf16 as computes_bf16
from harness.training.optimisation_step import Optimiser


def optimiser_of(
    method: Method, spec: TrainSpec, device: str, is_planar: bool = False
) -> Optimiser:
    """Return what takes the optimisation steps of a training, on its device and in its layout.

    Args:
        method: is moved to ``device``.
        spec: has an optimisation and stages.
        device: a torch device.
        is_planar: whether convolutions keep the layout of weights that the loop changes.
    """
    assert spec.optimisation is not None
    method.to(torch.device(device))
    if not is_planar:
        use_channels_last(cast(nn.Module, method))
    return Optimiser(method, spec, spec.optimisation, torch.device(device), _ignore)


def batches_ahead(stream: Any, loader_workers: int | None) -> Iterator[Any]:
    """Yield the training batches of a stream from its first, as the training loop gets them."""
    return batches(stream, 0, loader_workers)


def _ignore(text: str) -> None:
    """Let a line of the log pass."""
