"""MIRAGE's gated convolution, whose 7x7 kernels are made from the image's mean.

Follows Ren et al., "Efficient Degradation-agnostic Image Restoration via Channel-Wise Functional
Decomposition and Manifold Regularization", ICLR 2026 (arXiv 2505.18679), repository
Amazingren/MIRAGE, net/mirage_small.py, with the same state-dict keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.convolutions import conv1x1

_KERNEL_PX = 7


class GatedConvolution(nn.Module):
    """Gates channels that pass unchanged, and channels convolved by kernels of the image's own.

    The kernels depend on the mean over the whole image, so tiles of an image give another result
    than the image.

    Args:
        channels: C.
    """

    skipped: Tensor | None = None
    """In training, factors (N, 1, 1, 1) on the branch: 0 where a sample skips it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.hidden = channels, int(8 / 3 * channels)
        self.temperature = nn.Parameter(torch.ones(1))
        self.norm = nn.BatchNorm2d(channels)
        self.gic1 = conv1x1(channels, 2 * self.hidden)
        self.kernel_generator = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv1x1(channels, channels),
            nn.GELU(),
            conv1x1(channels, channels * _KERNEL_PX**2),
        )
        self.gic2 = conv1x1(self.hidden, channels)
        self.proj_out = conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        widths = [self.hidden, self.hidden - self.channels, self.channels]
        gate, unchanged, convolved = self.gic1(self.norm(x)).split(widths, dim=1)
        values = torch.cat([unchanged, self._convolve(convolved)], dim=1)
        branch = self.gic2(F.gelu(gate / self.temperature) * values)
        if self.skipped is not None:
            branch = branch * self.skipped.to(branch.dtype)
        return self.proj_out(branch + x)

    def _convolve(self, x: Tensor) -> Tensor:
        """Convolve each channel of each image of (N, C, H, W) with a kernel of its own."""
        count, channels, height, width = x.shape
        kernels = self.kernel_generator(x).reshape(count * channels, 1, _KERNEL_PX, _KERNEL_PX)
        planes = x.reshape(1, count * channels, height, width)
        padding = _KERNEL_PX // 2
        return F.conv2d(planes, kernels, padding=padding, groups=len(kernels)).reshape(x.shape)


@contextmanager
def skipping(
    network: nn.Module, probability: float, samples: int, rng: torch.Generator
) -> Iterator[None]:
    """Let each sample skip each gated convolution of ``network`` with a probability meanwhile.

    Those that are not skipped are divided by the probability of that.

    Args:
        network: holds the gated convolutions.
        probability: in [0, 1); with 0 nothing is drawn.
        samples: N of the batches.
        rng: what is drawn from.
    """
    gates: list[GatedConvolution] = []
    for module in network.modules():
        if isinstance(module, GatedConvolution) and probability:
            gates.append(module)
    for gate in gates:
        drawn = torch.rand(samples, 1, 1, 1, generator=rng, device=rng.device)
        kept = (drawn >= probability).to(drawn.dtype) / (1 - probability)
        gate.skipped = kept.to(gate.temperature.device, non_blocking=True)
    try:
        yield
    finally:
        for gate in gates:
            gate.skipped = None
