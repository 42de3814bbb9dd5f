"""How the device computes while a training lasts: TF32, and the layout of convolution weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def tf32(allowed: bool | None) -> Iterator[None]:
    """Have NVIDIA GPUs compute fp32 products and convolutions in TF32, or not, meanwhile.

    TF32 has 10 bits of mantissa where fp32 has 23. None leaves both as they are. The state before
    holds again afterwards: what is scored is computed as without.
    """
    if allowed is None:
        yield
        return
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = allowed
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before


def use_channels_last(method: nn.Module) -> None:
    """Store convolution weights in the layout that the networks' activations have."""
    for parameter in method.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
