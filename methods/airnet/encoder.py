"""AirNet's encoder of the degradation, and the momentum contrast that it learns by.

Follows Li et al., "All-In-One Image Restoration for Unknown Corruption", CVPR 2022, repository
XLearning-SCU/2022-CVPR-AirNet, net/encoder.py, and for the contrast He et al., "Momentum Contrast
for Unsupervised Visual Representation Learning", CVPR 2020 (arXiv 1911.05722), with the
same state-dict keys.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.airnet.spec import AirNetOptions

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


class MomentumContrast(nn.Module):
    """Teaches an encoder to tell degradations apart.

    The query is one crop of a degraded image and its positive another, seen by a second encoder
    that follows the first slowly; the negatives are the keys of past batches, kept in a queue.
    As published, the queue also holds keys of the query's own degradation.

    Weights of the key encoder, queue and pointer are part of the state, and change nowhere but
    in :meth:`forward` in training mode, so a training that goes on from its state dict goes on
    to the bit.

    Args:
        options: width, temperature, momentum and length of the queue.
    """

    queue: Tensor
    queue_ptr: Tensor

    def __init__(self, options: AirNetOptions) -> None:
        super().__init__()
        self.temperature, self.momentum = options.temperature, options.momentum
        self.encoder_q = Encoder(options.channels)
        self.encoder_k = copy.deepcopy(self.encoder_q).requires_grad_(False)
        keys = torch.randn(4 * options.channels, options.queue_length)
        self.register_buffer("queue", F.normalize(keys, dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Compare two crops (N, 3, H, W) of N images.

        Returns:
            The cross-entropy of finding each positive among all negatives, and the queries'
            degradation map (N, C, H, W).
        """
        degradation_map = self.encoder_q.degradation_map(query)
        queries = self.encoder_q.embed(degradation_map)
        if self.training:
            self._follow()
        with torch.no_grad():
            keys = self.encoder_k.embed(self.encoder_k.degradation_map(key))
        with torch.autocast(query.device.type, enabled=False):
            positive = (queries * keys).sum(dim=1, keepdim=True)
            # A copy: the queue itself changes before the gradient is taken.
            logits = torch.cat([positive, queries @ self.queue.clone()], dim=1) / self.temperature
            target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
            contrast = F.cross_entropy(logits, target)
        if self.training:
            self._enqueue(keys)
        return contrast, degradation_map

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the key encoder's weights a little towards the query encoder's."""
        pairs = zip(self.encoder_k.parameters(), self.encoder_q.parameters(), strict=True)
        for key, query in pairs:
            key.mul_(self.momentum).add_(query, alpha=1 - self.momentum)

    @torch.no_grad()
    def _enqueue(self, keys: Tensor) -> None:
        """Put keys (N, 4 C) in the place of the oldest; any N, wrapping round at the end."""
        length = self.queue.shape[1]
        keys = keys[-length:]
        places = (self.queue_ptr + torch.arange(len(keys), device=keys.device)) % length
        self.queue[:, places] = keys.T.to(self.queue.dtype)
        self.queue_ptr.copy_((self.queue_ptr + len(keys)) % length)
