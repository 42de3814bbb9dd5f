"""MIRAGE's contrast of covariances between its first encoder level and its latent.

Follows Ren et al., ICLR 2026 (arXiv 2505.18679), repository Amazingren/MIRAGE,
net/mirage_small.py. The paper speaks of the manifold of positive definite matrices; the code
computes no matrix logarithm, and compares the covariances as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_RIDGE = 1e-5


def covariance(features: Tensor) -> Tensor:
    """Return the covariances of the channels of (N, C, H, W) over the pixels, as (N, C * C)."""
    values = features.flatten(2)
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    centred = values - values.mean(dim=-1, keepdim=True)
    matrix = centred @ centred.transpose(1, 2) / (values.shape[-1] - 1)
    ridge = _RIDGE * torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return (matrix + ridge).flatten(1)


def contrast(shallow: Tensor, latent: Tensor, temperature: float) -> Tensor:
    """Return the cross-entropy by which each shallow vector finds the latent one of its image.

    Args:
        shallow: (N, D), normalised to length one here.
        latent: the same of the latent; row i belongs to the same image as row i of ``shallow``.
        temperature: what cosine similarities are divided by. One direction only is computed, as
            published; of one image the loss is 0.
    """
    similarities = F.normalize(shallow, dim=-1) @ F.normalize(latent, dim=-1).t()
    target = torch.arange(len(shallow), device=shallow.device)
    return F.cross_entropy(similarities / temperature, target)
