"""AirNet's encoder of the degradation.

Follows Li et al., "All-In-One Image Restoration for Unknown Corruption", CVPR 2022, repository
XLearning-SCU/2022-CVPR-AirNet, net/encoder.py, with the same state-dict keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.1
"""Slope of all leaky rectifiers of the network."""


class _ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.backbone(x) + self.shortcut(x), SLOPE)


class Encoder(nn.Module):
    """Maps an image to a degradation map and to an embedding of its degradation.

    Args:
        channels: C of the map; the embedding has 4 C values.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = 4 * channels
        self.E_pre = _ResidualBlock(3, channels, stride=1)
        self.E = nn.Sequential(
            _ResidualBlock(channels, 2 * channels, stride=2),
            _ResidualBlock(2 * channels, width, stride=2),
            nn.AdaptiveAvgPool2d(1),
        )
        self.mlp = nn.Sequential(
            nn.Linear(width, width), nn.LeakyReLU(SLOPE), nn.Linear(width, width)
        )

    def degradation_map(self, image: Tensor) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] to (N, C, H, W), which guides the restorer."""
        return self.E_pre(image)

    def embed(self, degradation_map: Tensor) -> Tensor:
        """Map (N, C, H, W) to embeddings (N, 4 C) of length one, in float32 at least."""
        embedded = self.mlp(self.E(degradation_map).flatten(1))
        return F.normalize(embedded.to(torch.promote_types(embedded.dtype, torch.float32)), dim=1)
