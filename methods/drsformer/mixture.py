"""DRSformer's mixture of convolutions, weighed by the mean of the features.

Follows Chen et al., CVPR 2023 (arXiv 2303.11950), repository cschenxiang/DRSformer,
basicsr/models/archs/DRSformer_arch.py (``subnet``), with the same state-dict keys.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.convolutions import conv1x1, conv_per_channel

_STEPS = 4
_OPERATIONS = 8


class _Operation(nn.Module):
    """Holds a chain of layers under the published key ``op``."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.op = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


def _separable(channels: int, kernel: int) -> _Operation:
    return _Operation(
        conv_per_channel(channels, kernel),
        conv1x1(channels, channels),
        nn.ReLU(),
        conv_per_channel(channels, kernel),
        conv1x1(channels, channels),
    )


def _dilated(channels: int, kernel: int) -> _Operation:
    return _Operation(conv_per_channel(channels, kernel, dilation=2), conv1x1(channels, channels))


class _Weigher(nn.Module):
    """Weighs the operations of every step by the mean of the features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        outputs = _STEPS * _OPERATIONS
        self.ca_fc = nn.Sequential(
            nn.Linear(channels, 2 * outputs), nn.ReLU(), nn.Linear(2 * outputs, outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to weights (N, steps, operations) that sum to 1 in each step."""
        scores = self.ca_fc(x.mean(dim=(-2, -1)))
        return scores.unflatten(1, (_STEPS, _OPERATIONS)).softmax(dim=-1)


class _Step(nn.Module):
    """All operations in parallel, each scaled by its weight, joined by a 1x1 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._ops = nn.ModuleList()  # the published keys begin with an underscore
        for kernel in (1, 3, 5, 7):
            self._ops.append(_separable(channels, kernel))
        for kernel in (3, 5, 7):
            self._ops.append(_dilated(channels, kernel))
        self._ops.append(nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False))
        self._out = nn.Sequential(conv1x1(channels * _OPERATIONS, channels), nn.ReLU())

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape under ``weights`` (N, operations)."""
        scales = weights[..., None, None, None].unbind(1)
        scaled = []
        for operation, scale in zip(self._ops, scales, strict=True):
            scaled.append(operation(x) * scale)
        return self._out(torch.cat(scaled, dim=1))


class _Steps(nn.Module):
    """The four steps, each with a shortcut around it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.preprocess = _Operation(conv1x1(channels, channels), nn.ReLU())
        self._ops = nn.ModuleList(_Step(channels) for _ in range(_STEPS))

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        x = self.preprocess(x)
        for step, step_weights in zip(self._ops, weights.unbind(1), strict=True):
            x = torch.relu(step(x, step_weights) + x)
        return x


class Mixture(nn.Module):
    """Mixture of experts feature compensator (MEFC), not residual as a whole.

    It has four steps of eight operations: separable convolutions of 1, 3, 5 and 7 pixels, dilated
    ones of 3, 5 and 7, and a mean over the 3x3 pixels inside the map.

    Args:
        channels: C of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([_Weigher(channels), _Steps(channels)])

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape, at least 0 everywhere."""
        weigher, steps = self.layers
        return steps(x, weigher(x))
