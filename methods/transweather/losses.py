"""TransWeather's perceptual loss.

Follows Valanarasu et al., CVPR 2022 (arXiv 2111.14813), repository jeya-maria-jose/TransWeather,
train.py: VGG16 after relu1_2, relu2_2 and relu3_3, without ImageNet's normalisation.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.vgg16 import Vgg16Use

VGG16_USE = Vgg16Use("the loss of transweather", "perceptual_weight=0")


def perceptual_loss(
    restored: Tensor, clean: Tensor, features: Callable[[Tensor], list[Tensor]]
) -> Tensor:
    """Return the mean squared error of feature maps, the mean over the maps."""
    with torch.no_grad():
        target = features(clean)
    errors = []
    for own, wanted in zip(features(restored), target, strict=True):
        errors.append(F.mse_loss(own, wanted))
    return torch.stack(errors).mean()
