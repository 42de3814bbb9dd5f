"""MPRNet's losses: Charbonnier, and the same of the edges.

Follows Zamir et al., CVPR 2021 (arXiv 2102.02808), equations 1 to 3, repository swz30/MPRNet,
Deraining/losses.py, which averages over pixels before it adds the stages.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_EPSILON = 1e-3
_BLUR = (0.05, 0.25, 0.4, 0.25, 0.05)


def charbonnier(error: Tensor) -> Tensor:
    """Return the mean of sqrt(error^2 + 0.001^2), a scalar."""
    return (error.square() + _EPSILON**2).sqrt().mean()


def edges(image: Tensor) -> Tensor:
    """Return (N, C, H, W) minus its next coarser level: the finest of a Laplacian pyramid.

    It is linear, so the edges of a difference are the difference of the edges.
    """
    coarse = torch.zeros_like(image)
    coarse[..., ::2, ::2] = 4 * _blur(image)[..., ::2, ::2]
    return image - _blur(coarse)


def _blur(image: Tensor) -> Tensor:
    """Convolve each channel of (N, C, H, W) with the 5x5 kernel of the pyramid."""
    channels, reach = image.shape[1], len(_BLUR) // 2
    line = torch.tensor(_BLUR).to(image, non_blocking=True)
    kernel = torch.outer(line, line).expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(image, (reach,) * 4, mode="replicate"), kernel, groups=channels)
