"""OneRestore's contrast: near the clean image, far from all degraded versions of it.

Follows Guo et al., ECCV 2024 (arXiv 2407.04621), repository gy65896/OneRestore: the composite
degradation restoration loss, over VGG16 after relu1_2, relu2_2 and relu3_3, without ImageNet's
normalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.vgg16 import Vgg16Use

VGG16_USE = Vgg16Use("the loss of onerestore", "contrast_features=pixels")

_EPSILON = 1e-7

Features = Callable[[Tensor], list[Tensor]]


def pixels(image: Tensor) -> list[Tensor]:
    """Return [(N, 3, H, W)]: the image itself as a feature map."""
    return [image]


def contrast_loss(
    restored: Tensor, clean: Tensor, degraded: list[Tensor], features: Features
) -> Tensor:
    """Return the distance to ``clean`` over the mean distance to ``degraded``.

    Distances are mean absolute differences over the batch, and the ratio is the mean over the
    feature maps.

    Args:
        restored: (N, 3, H, W).
        clean: the same shape.
        degraded: the input and its versions under other degradations, each of the same shape.
        features: maps an image to feature maps.
    """
    own = features(restored)
    nearness = list(_distances(own, clean, features))
    farness = [torch.zeros_like(distance) for distance in nearness]
    for image in degraded:
        for number, distance in enumerate(_distances(own, image, features)):
            farness[number] = farness[number] + distance / len(degraded)
    ratios = []
    for near, far in zip(nearness, farness, strict=True):
        ratios.append(near / (far + _EPSILON))
    return torch.stack(ratios).mean()


def _distances(own: list[Tensor], image: Tensor, features: Features) -> Iterator[Tensor]:
    with torch.no_grad():
        others = features(image)
    for map_of_own, map_of_other in zip(own, others, strict=True):
        yield F.l1_loss(map_of_own, map_of_other)
