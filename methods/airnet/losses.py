"""The momentum contrast by which AirNet's encoder learns to distinguish degradations.

Follows He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020
(arXiv 1911.05722), as XLearning-SCU/2022-CVPR-AirNet uses it (net/encoder.py, net/moco.py), with
the same state-dict keys.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.airnet.encoder import Encoder
from methods.airnet.spec import AirNetOptions
from methods.batch_rows import BatchRows


class MomentumContrast(nn.Module):
    """Teaches an encoder to distinguish degradations.

    The query is one crop of a degraded image and its positive another, embedded by a momentum
    encoder, whose weights are a running mean of the encoder's. The negatives are the keys of past
    batches, which a queue holds. As published, the queue also holds keys of the query's own
    degradation.

    The momentum encoder, the queue and its pointer are part of the state. They change only in
    training mode, and once per step: the momentum encoder at its first batch, the queue at its
    end (:meth:`update_from`). So a training that is resumed from the state dict is bit-identical
    to one that was not interrupted.

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
        self.keys = BatchRows()
        self.encoder_has_moved = False

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Compare two crops (N, 3, H, W) of N images.

        Returns:
            The cross-entropy of finding each positive among all negatives, and the queries'
            degradation map (N, C, H, W).
        """
        degradation_map = self.encoder_q.degradation_map(query)
        queries = self.encoder_q.embed(degradation_map)
        if self.training:
            self._update_momentum_encoder()
        with torch.no_grad():
            keys = self.encoder_k.embed(self.encoder_k.degradation_map(key))
        with torch.autocast(query.device.type, enabled=False):
            positive = (queries * keys).sum(dim=1, keepdim=True)
            negative = queries @ self.queue
            logits = torch.cat([positive, negative], dim=1) / self.temperature
            target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
            contrast = F.cross_entropy(logits, target)
        if self.training:
            self.keys.add(keys)
        return contrast, degradation_map

    def gathered(self) -> dict[str, Tensor]:
        """Return the keys (N, 4 C) of the images since the last call; see GathersFromBatches."""
        return self.keys.take()

    def update_from(self, rows: Mapping[str, Tensor]) -> None:
        """Put the keys of a step into the queue; the momentum encoder has moved by then."""
        for keys in rows.values():
            self._update_momentum_encoder()
            self._enqueue(keys)
        self.encoder_has_moved = False

    @torch.no_grad()
    def _update_momentum_encoder(self) -> None:
        """Move the momentum encoder's weights a little towards the query encoder's, once a step."""
        if self.encoder_has_moved:
            return
        self.encoder_has_moved = True
        pairs = zip(self.encoder_k.parameters(), self.encoder_q.parameters(), strict=True)
        for key, query in pairs:
            key.mul_(self.momentum).add_(query, alpha=1 - self.momentum)

    @torch.no_grad()
    def _enqueue(self, keys: Tensor) -> None:
        """Replace the oldest keys by ``keys`` (N, 4 C); any N, wrapping round at the end."""
        length = self.queue.shape[1]
        keys = keys[-length:]
        columns = (self.queue_ptr + torch.arange(len(keys), device=keys.device)) % length
        self.queue[:, columns] = keys.T.to(self.queue.dtype)
        self.queue_ptr.copy_((self.queue_ptr + len(keys)) % length)
