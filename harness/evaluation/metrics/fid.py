"""Fréchet Inception distance (Heusel et al., NeurIPS 2017): two sets of images, one value.

Features are those of pyiqa's Inception network, on images that are resized as clean-fid does
(Parmar et al., CVPR 2022): Pillow's bicubic filter with its low-pass, on floats. The distance is
that of two Gaussians; with N images of D features, covariances have a rank below min(N, D), and the
value is too high by an amount that falls with N. Papers use thousands of images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.metrics.arrays import Float64, Image
from harness.evaluation.metrics.definition import SetMetric
from harness.evaluation.metrics.pyiqa_metrics import pyiqa_facts, pyiqa_network

_SIDE_PX = 299
"""What the network was trained on."""


def fid() -> SetMetric:
    """Return the metric, its network loaded on the CPU.

    Raises:
        HarnessError: pyiqa is not installed, or the weights are missing or damaged.
    """
    network = pyiqa_network("fid").net.model
    facts = pyiqa_facts("fid", higher_is_better=False)
    return SetMetric(
        **vars(facts),
        features=lambda image: inception_features(network, image),
        distance=frechet_distance,
    )


def inception_features(network: Any, image: Image) -> NDArray[np.float32]:
    """Return the 2048 features of (H, W, 3) RGB in [0, 1]; NaN where the image is not finite."""
    import torch

    if not np.isfinite(image).all():
        return np.full(2048, np.nan, dtype=np.float32)
    batch = torch.from_numpy(resized(image)[None])
    with torch.no_grad():
        found = network((batch - 128) / 128, False, False)[0]
    return np.asarray(found.reshape(-1), dtype=np.float32)


def resized(image: Image) -> NDArray[np.float32]:
    """Return (H, W, 3) in [0, 1] as (3, 299, 299) in [0, 255], channel by channel."""
    from PIL import Image as Pillow

    planes = []
    for channel in range(3):
        levels = np.ascontiguousarray(image[..., channel] * 255, dtype=np.float32)
        plane = Pillow.fromarray(levels).resize((_SIDE_PX, _SIDE_PX), Pillow.Resampling.BICUBIC)
        planes.append(np.asarray(plane).clip(0, 255))
    return np.stack(planes)


def frechet_distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return |m - n|² + tr(S) + tr(T) - 2 tr((S T)^½) of features (N, D) and (M, D).

    m, n are the means and S, T the sample covariances. With S = A'A and T = B'B, the trace of
    the root is the sum of the singular values of A B'. NaN where a feature is not finite.
    """
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return float("nan")
    a, b = _root(first), _root(second)
    difference = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
    shared = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    traces = float(np.sum(a * a) + np.sum(b * b))
    return float(difference @ difference) + traces - 2 * shared


def _root(features: NDArray[np.floating]) -> Float64:
    """Return A with A'A the sample covariance of (N, D) features, at most D rows."""
    values = features.astype(np.float64)
    centred: Float64 = (values - values.mean(axis=0)) / np.sqrt(len(values) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    root: Float64 = np.asarray(np.linalg.qr(centred, mode="r"))
    return root
