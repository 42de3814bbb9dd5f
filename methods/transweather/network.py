"""TransWeather in general width.

Follows Valanarasu et al., "TransWeather: Transformer-based Restoration of Images Degraded by
Adverse Weather Conditions", CVPR 2022 (arXiv 2111.14813), repository
jeya-maria-jose/TransWeather, transweather_model.py for the network and train.py for the losses;
keys, shapes and outputs are the published ones. One thing differs: where the published test
resizes images and their clean versions to multiples of 16 pixels, images are extended here and the
result is cut.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.blocks import pad_to
from methods.transweather.encoder import Decoder, Encoder
from methods.transweather.losses import VGG16_USE, perceptual_loss
from methods.transweather.spec import TransWeatherOptions
from methods.transweather.tail import Convolution, Tail
from methods.transweather.tokens import Drop, dropping, keep_all
from methods.vgg16 import LazyVgg16


class TransWeather(nn.Module):
    """TransWeather, trained with smooth L1 and, with a weight, VGG16's features.

    Args:
        options: size of the network and weight of the features.
    """

    size_multiple = 16
    least_px = 48

    def __init__(self, options: TransWeatherOptions) -> None:
        super().__init__()
        self.perceptual_weight = options.perceptual_weight
        self.features = LazyVgg16(VGG16_USE)
        self.Tenc = Encoder(options)
        self.Tdec = Decoder(options)
        self.convtail = Tail(options)
        self.clean = Convolution(options.tail[1], 3)

    def run(self, image: Tensor, drop: Drop = keep_all) -> Tensor:
        """Map (N, 3, H, W) in [-1, 1] to (N, 3, H, W) in [-1, 1], which stands for [0, 1].

        Sides are multiples of 16 and at least 48.
        """
        stages = self.Tenc(image.permute(0, 2, 3, 1), drop)
        decoded = self.Tdec(stages[-1], drop)
        maps = [stage.permute(0, 3, 1, 2) for stage in stages]
        x = self.convtail(maps, decoded.permute(0, 3, 1, 2))
        return torch.tanh(self.clean(x))

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self._restored(degraded, keep_all)

    def prepare_training(self) -> None:
        """Read VGG16's weights where the perceptual loss has a weight.

        Raises:
            OptionError: they are not there.
        """
        if self.perceptual_weight:
            self.features.load()

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return smooth L1 and the perceptual loss; left out residuals are drawn from ``rng``.

        Raises:
            OptionError: the perceptual loss has a weight, and VGG16's are not there.
        """
        restored = self._restored(batch.degraded, dropping(rng) if self.training else keep_all)
        terms = {"smooth_l1": F.smooth_l1_loss(restored, batch.clean)}
        if self.perceptual_weight:
            loss = perceptual_loss(restored, batch.clean, self.features)
            terms["perceptual"] = self.perceptual_weight * loss
        return terms

    def _restored(self, degraded: Tensor, drop: Drop) -> Tensor:
        height, width = degraded.shape[-2:]
        sides = []
        for side in (height, width):
            sides.append(max(self.least_px, side + -side % self.size_multiple))
        image = pad_to(degraded, *sides) * 2 - 1
        return self.run(image, drop)[..., :height, :width]


def build(context: BuildContext) -> TransWeather:
    """Build from ``TransWeatherOptions``."""
    return TransWeather(context.options)
