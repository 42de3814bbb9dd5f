"""Histoformer's correlation loss.

Follows Sun et al., ECCV 2024 (arXiv 2407.10172), repository sunshangquan/Histoformer.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-6


def correlation_loss(restored: Tensor, clean: Tensor) -> Tensor:
    """Return half of one minus Pearson's correlation, the mean over the images, in [0, 1].

    The correlation of an image is over all its channels and pixels. As published, images whose
    loss is not finite are left out. Both are (N, 3, H, W).
    """
    deviations = []
    for images in (restored, clean):
        values = images.float().flatten(1)
        deviations.append(values - values.mean(dim=1, keepdim=True))
    products = (deviations[0] * deviations[1]).sum(dim=1)
    norms = [torch.linalg.vector_norm(values, dim=1) for values in deviations]
    losses = (1 - products / (norms[0] * norms[1] + _EPSILON)) / 2
    finite = losses.isfinite()
    # A selection of them would have a size that a GPU has to be asked for.
    return losses.masked_fill(~finite, 0).sum() / finite.sum().clamp_min(1)
