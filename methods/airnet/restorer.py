"""AirNet's degradation-guided restoration network (DGRN).

Follows Li et al., "All-In-One Image Restoration for Unknown Corruption", CVPR 2022, repository
XLearning-SCU/2022-CVPR-AirNet, net/DGRN.py and net/deform_conv.py, with the same state-dict keys.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from methods.airnet.encoder import SLOPE
from methods.airnet.spec import AirNetOptions
from methods.convolutions import conv1x1

_KERNEL = 3


def _conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, _KERNEL, padding=_KERNEL // 2)


class _Deformable(nn.Module):
    """Modulated deformable convolution (DCN v2) whose offsets depend on a degradation map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = _KERNEL * _KERNEL
        bound = 1 / math.sqrt(channels * taps)
        weight = torch.empty(channels, channels, _KERNEL, _KERNEL)
        self.weight = nn.Parameter(weight.uniform_(-bound, bound))
        self.conv_offset_mask = _conv3x3(2 * channels, 3 * taps)
        # The start is an ordinary convolution at half strength.
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        offset_and_mask = self.conv_offset_mask(torch.cat([x, degradation_map], 1))
        taps = self.weight[0, 0].numel()
        offset, mask = offset_and_mask.split([2 * taps, taps], dim=1)
        # Positions need float32: bfloat16 has no half pixels beyond 128.
        dtype = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            return deform_conv2d(
                x.to(dtype),
                offset.to(dtype),
                self.weight.to(dtype),
                padding=_KERNEL // 2,
                mask=mask.to(dtype).sigmoid(),
            )


class _Modulation(nn.Module):
    """Scales and shifts features by two maps that small networks compute from a degradation map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_gamma = self._branch(channels)
        self.conv_beta = self._branch(channels)

    @staticmethod
    def _branch(channels: int) -> nn.Sequential:
        return nn.Sequential(
            conv1x1(channels, channels), nn.LeakyReLU(SLOPE), conv1x1(channels, channels)
        )

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        return x * self.conv_gamma(degradation_map) + self.conv_beta(degradation_map)


class _Guided(nn.Module):
    """Degradation-guided module: adds deformable convolution and modulation to the features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dcn = _Deformable(channels)
        self.sft = _Modulation(channels)

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        return x + (self.dcn(x, degradation_map) + self.sft(x, degradation_map))


class _Block(nn.Module):
    """Degradation-guided block: guided module and convolution, twice, around a shortcut."""

    recomputable = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dgm1 = _Guided(channels)
        self.dgm2 = _Guided(channels)
        self.conv1 = _conv3x3(channels, channels)
        self.conv2 = _conv3x3(channels, channels)

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        y = F.leaky_relu(self.dgm1(x, degradation_map), SLOPE)
        y = F.leaky_relu(self.conv1(y), SLOPE)
        y = F.leaky_relu(self.dgm2(y, degradation_map), SLOPE)
        return x + self.conv2(y)


class _Chain(nn.Module):
    """Guided parts one after the other, a convolution last, around a shortcut."""

    def __init__(self, parts: list[nn.Module], channels: int) -> None:
        super().__init__()
        self.body = nn.ModuleList([*parts, _conv3x3(channels, channels)])

    def forward(self, x: Tensor, degradation_map: Tensor) -> Tensor:
        *parts, last = self.body
        y = x
        for part in parts:
            y = part(y, degradation_map)
        return x + last(y)


def _group(channels: int, count: int) -> _Chain:
    """Build a degradation-guided group of ``count`` blocks."""
    blocks: list[nn.Module] = [_Block(channels) for _ in range(count)]
    return _Chain(blocks, channels)


class Restorer(_Chain):
    """Degradation-guided restoration network: groups of blocks, at full resolution throughout.

    Args:
        options: channels, number of groups and of blocks in each.
    """

    def __init__(self, options: AirNetOptions) -> None:
        c = options.channels
        groups: list[nn.Module] = [_group(c, options.blocks) for _ in range(options.groups)]
        super().__init__(groups, c)
        self.head = nn.Sequential(_conv3x3(3, c))
        self.tail = nn.Sequential(_conv3x3(c, 3))

    def forward(self, image: Tensor, degradation_map: Tensor) -> Tensor:
        """Map (N, 3, H, W) and (N, C, H, W) to (N, 3, H, W); the image is not added."""
        return self.tail(super().forward(self.head(image), degradation_map))
