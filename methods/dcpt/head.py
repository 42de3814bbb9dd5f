"""DCPT's classifier of degradations, which reads the features of a restorer's decoder.

Follows Hu et al., "Universal Image Restoration Pre-training via Degradation Classification", ICLR
2025 (arXiv 2501.15510), repository MILab-PKU/dcpt, basicsr/archs/degrad_classify_arch.py (class
PromptIR_NoImg_DC), with the same state-dict keys. It does not see the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.convolutions import conv1x1

_EXPANSION = 2


class _ChannelNorm(nn.Module):
    """Normalises each pixel of (N, C, H, W) over its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = x.permute(0, 2, 3, 1)
        y = F.layer_norm(y, y.shape[-1:], self.weight, self.bias, eps=1e-6)
        return y.permute(0, 3, 1, 2)


class _NormalisedConv(nn.Conv2d):
    """A convolution without bias and the norm of its output, under one published key."""

    def __init__(self, inputs: int, outputs: int, kernel_px: int) -> None:
        super().__init__(inputs, outputs, kernel_px, padding=kernel_px // 2, bias=False)
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.norm = _ChannelNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))


class _Bottleneck(nn.Module):
    """A residual block that is wider inside than outside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = _EXPANSION * channels
        self.conv1 = _NormalisedConv(channels, inner, 1)
        self.conv2 = _NormalisedConv(inner, inner, 3)
        self.conv3 = _NormalisedConv(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv2(F.relu(self.conv1(x))))
        return F.relu(x + self.conv3(y))


def _stack(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*[_Bottleneck(channels) for _ in range(blocks)])


class DegradationHead(nn.Module):
    """Classifies the degradation of an image by the features of a decoder's levels.

    Args:
        channels: of the features of each level, the finest first.
        blocks: residual blocks per level, and at the end.
        classes: number of degradations.
        tokens: whether features are (N, pixels, C) of square maps that are all of one size, as in
            SwinIR; else they are (N, C, H, W), each of half the side of the one before.
    """

    def __init__(
        self, channels: Sequence[int], blocks: int, classes: int, tokens: bool = False
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.mixing_weights = nn.Parameter(torch.ones(len(channels)))
        self.bottleneck_layers = nn.ModuleList([_stack(width, blocks) for width in channels])
        self.downsample_layers = nn.ModuleList()
        for width, following in zip(channels, [*channels[1:], channels[-1]], strict=True):
            down = nn.Sequential(conv1x1(width, following), nn.MaxPool2d(2), nn.ReLU())
            self.downsample_layers.append(down)
        self.last_stage = _stack(channels[-1], blocks)
        self.fc = nn.Linear(channels[-1], classes)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return logits (N, classes) for the features, the finest first."""
        maps = self._maps(features) if self.tokens else features
        weights = self.mixing_weights.softmax(dim=0)
        z: Tensor | None = None
        levels = zip(weights, maps, self.bottleneck_layers, self.downsample_layers, strict=True)
        for weight, feature, blocks, down in levels:
            mixed = weight * feature
            z = down(blocks(mixed if z is None else z + mixed))
        return self.fc(self.last_stage(z).mean(dim=(-2, -1)))

    def _maps(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return tokens (N, pixels, C) as square maps (N, C, H, W), each halved once more."""
        maps = []
        for level, tokens in enumerate(features):
            side = math.isqrt(tokens.shape[1])
            square = tokens.transpose(1, 2).unflatten(2, (side, side))
            maps.append(F.interpolate(square, scale_factor=0.5**level) if level else square)
        return maps


def focal_loss(logits: Tensor, target: Tensor, gamma: float) -> Tensor:
    """Return the mean of (1 - p)^gamma times -log p, p the probability of the true class.

    Args:
        logits: (N, classes).
        target: (N,), indices of the true classes.
        gamma: at least 0; with 0 it is the cross-entropy.
    """
    log_p = F.log_softmax(logits, dim=-1).gather(1, target[:, None])[:, 0]
    return ((1 - log_p.exp()) ** gamma * -log_p).mean()
