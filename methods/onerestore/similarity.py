"""OneRestore's MS-SSIM, as its training computes it.

Follows Guo et al., ECCV 2024 (arXiv 2407.04621), repository gy65896/OneRestore. It differs from
Wang et al., 2003, in that both factors are mapped from [-1, 1] to [0, 1] and that the last level's
SSIM is a factor four times.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW_PX = 11
_SIGMA_PX = 1.5


def ms_ssim(restored: Tensor, clean: Tensor) -> Tensor:
    """Return the multi-scale SSIM of (N, 3, H, W) over the whole batch, at most 1.

    Five levels; a level that is smaller than the window has a window of its own size.
    """
    similarities, contrasts = [], []
    x, y = restored.float(), clean.float()
    for level in range(len(_WEIGHTS)):
        if level:
            x, y = _halved(x), _halved(y)
        similarity, contrast = _ssim(x, y)
        similarities.append((similarity + 1) / 2)
        contrasts.append((contrast + 1) / 2)
    value = restored.new_ones(())
    for contrast, weight in zip(contrasts[:-1], _WEIGHTS[:-1], strict=True):
        value = value * contrast**weight * similarities[-1] ** _WEIGHTS[-1]
    return value


def _halved(x: Tensor) -> Tensor:
    """Return means of 2x2 pixels; a side of one pixel stays."""
    sides = [min(2, side) for side in x.shape[-2:]]
    return F.avg_pool2d(x, sides)


def _ssim(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means of SSIM and of its contrast factor."""
    c1, c2 = _stabilisers(x)
    mean_x, mean_y = _filtered(x), _filtered(y)
    variance_x = _filtered(x * x) - mean_x * mean_x
    variance_y = _filtered(y * y) - mean_y * mean_y
    covariance = _filtered(x * y) - mean_x * mean_y
    contrast = (2 * covariance + c2) / (variance_x + variance_y + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    return (luminance * contrast).mean(), contrast.mean()


def _stabilisers(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return (0.01 R)^2 and (0.03 R)^2, R the range that the published code infers.

    It is 255 where an image's greatest value is above 128, else 1, and one more where the least is
    below -0.5. Which holds stays on the device.
    """
    least, greatest = torch.aminmax(x.detach())
    is_wide, is_signed = greatest > 128, least < -0.5

    def chosen(factor: float) -> Tensor:
        squares = [least.new_full((), (factor * widest) ** 2) for widest in (255, 256, 1, 2)]
        wide = torch.where(is_signed, squares[1], squares[0])
        narrow = torch.where(is_signed, squares[3], squares[2])
        return torch.where(is_wide, wide, narrow)

    return chosen(0.01), chosen(0.03)


def _filtered(x: Tensor) -> Tensor:
    """Filter each channel with a Gaussian window, along one axis after the other."""
    channels = x.shape[1]
    for axis in (-2, -1):
        taps = _window(min(_WINDOW_PX, x.shape[axis])).to(x, non_blocking=True)
        shape = (1, 1, -1, 1) if axis == -2 else (1, 1, 1, -1)
        kernel = taps.view(shape).expand(channels, *(-1,) * 3)
        x = F.conv2d(x, kernel, groups=channels)
    return x


def _window(length_px: int) -> Tensor:
    offsets = torch.arange(length_px) - (length_px - 1) / 2
    taps = (-(offsets**2) / (2 * _SIGMA_PX**2)).exp()
    return taps / taps.sum()
