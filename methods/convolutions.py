"""Convolutions that the blocks of restoration networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_HAS_ONEDNN = torch.backends.mkldnn.is_available()
_ONEDNN_ELEMENTS = 2**17
"""Maps of fewer elements are left to torch: a call of oneDNN costs more than it gains there."""


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a 1x1 convolution (O, C, 1, 1) to (N, H, W, C).

    It is computed as a convolution of the channels-last view instead of a matrix product: for
    tall, narrow matrices oneDNN's kernels are faster than the BLAS library's, forward and backward.
    """
    return _convolve_points(x.permute(0, 3, 1, 2), weight, bias).permute(0, 2, 3, 1)


def _convolve_points(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (N, C, H, W) with (O, C, 1, 1) by oneDNN on a CPU, with any number of threads.

    With one thread torch passes filters of one pixel to its own, slower code, unless they are
    dilated. One pixel is the same pixel at any dilation, and oneDNN runs the same kernel. For small
    maps its calls cost more than they gain.
    """
    by_onednn = x.device.type == "cpu" and x.dtype == torch.float32 and _HAS_ONEDNN
    if by_onednn and x.numel() > _ONEDNN_ELEMENTS and not torch.compiler.is_compiling():
        return F.conv2d(x, weight, bias, dilation=2)
    return F.conv2d(x, weight, bias)


class PointConv(nn.Conv2d):
    """A 1x1 convolution without bias, as fast with one thread as with several."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, O, H, W)."""
        return _convolve_points(x, self.weight, None)


def conv1x1(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a point-wise convolution without bias."""
    return PointConv(inputs, outputs)


def conv_per_channel(channels: int, kernel_px: int = 3, dilation: int = 1) -> nn.Conv2d:
    """Return a depth-wise convolution without bias that keeps the map's size.

    Args:
        channels: of the map; each has a kernel of its own.
        kernel_px: side of the kernels, odd.
        dilation: distance of the pixels that a kernel sees.
    """
    padding = dilation * (kernel_px // 2)
    return nn.Conv2d(
        channels,
        channels,
        kernel_px,
        padding=padding,
        dilation=dilation,
        groups=channels,
        bias=False,
    )
