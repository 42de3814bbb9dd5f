"""TransWeather's tail: from the deepest tokens back to the image's size, by convolutions.

Follows Valanarasu et al., CVPR 2022 (arXiv 2111.14813), repository
jeya-maria-jose/TransWeather, transweather_model.py and base_networks.py, with their state-dict
keys. Maps are (N, C, H, W).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from methods.transweather.spec import TransWeatherOptions


class Convolution(nn.Module):
    """A 3x3 convolution under the published key ``conv2d``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W)."""
        return self.conv2d(x)


class _Doubling(nn.Module):
    """Doubles the sides by a transposed convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv2d = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2d(x)


class _Residual(nn.Module):
    """Two convolutions, of whose output a tenth is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Convolution(channels, channels)
        self.conv2 = Convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.1 * self.conv2(F.relu(self.conv1(x)))


def _dense(channels: int) -> nn.Sequential:
    return nn.Sequential(_Residual(channels))


class Tail(nn.Module):
    """Doubles the sides six times and adds the encoder's stages on the way.

    Args:
        options: widths of the stages and of the tail.
    """

    def __init__(self, options: TransWeatherOptions) -> None:
        super().__init__()
        first, second, third, fourth = options.widths
        half, whole = options.tail
        self.convd32x = _Doubling(fourth, fourth)
        self.convd16x = _Doubling(fourth, third)
        self.dense_4 = _dense(third)
        self.convd8x = _Doubling(third, second)
        self.dense_3 = _dense(second)
        self.convd4x = _Doubling(second, first)
        self.dense_2 = _dense(first)
        self.convd2x = _Doubling(first, half)
        self.dense_1 = _dense(half)
        self.convd1x = _Doubling(half, whole)
        # Published, and never used: it neither computes nor is trained.
        unused = Convolution(whole, 3)
        self.conv_output = unused.requires_grad_(False)

    def forward(self, stages: list[Tensor], decoded: Tensor) -> Tensor:
        """Map the encoder's four outputs and the decoder's to (N, channels, H, W)."""
        first, second, third, fourth = stages
        x = _cut(self.convd32x(decoded), fourth) + fourth
        x = self.dense_4(_cut(self.convd16x(x), third)) + third
        x = self.dense_3(self.convd8x(x)) + second
        x = self.dense_2(self.convd4x(x)) + first
        return self.convd1x(self.dense_1(self.convd2x(x)))


def _cut(x: Tensor, like: Tensor) -> Tensor:
    """Cut the last row and column of ``x`` where the stage of ``like`` had an odd side."""
    return x[..., : like.shape[-2], : like.shape[-1]]
