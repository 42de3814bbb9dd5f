"""MoCE-IR's frequency embedding, by which its routers recognise degradations.

Follows Zamfir et al., CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR,
net/moce_ir.py, with the same state-dict keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.convolutions import conv_per_channel


class FrequencyEmbedding(nn.Module):
    """Pools the high frequencies of the deepest features into one vector per image.

    The published code means to freeze the high-pass kernel, but assigns to a method's name, so
    the kernel is trained; so it is here.

    Args:
        channels: C of the deepest features, and of the embedding.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.high_conv = nn.Sequential(_HighPass(channels), nn.GELU())
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C)."""
        return self.mlp(self.high_conv(x).mean(dim=(-2, -1)))


class _HighPass(nn.Module):
    """Starts as the Laplacian of each channel, diagonals included."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv_per_channel(channels)
        laplacian = F.pad(torch.full((1, 1), 9.0), (1, 1, 1, 1)) - 1
        with torch.no_grad():
            self.conv.weight.copy_(laplacian.expand_as(self.conv.weight))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)
