"""NAFNet, split into encoder and decoder so that prompts can be inserted.

Follows Chen et al., "Simple Baselines for Image Restoration", ECCV 2022 (arXiv 2204.04676),
repository megvii-research/NAFNet; the class is spandrel's, keys and outputs are the published ones.
Two things differ from the authors' code: padding reflects the image instead of adding zeros, and
the loss is L1 instead of their PSNR loss, because all-in-one papers retrain their baselines alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.method import Batch, BuildContext, Decoded, Insert
from methods.baselines.nafnet.spec import INSERTION_POINTS, NAFNetOptions
from methods.baselines.spandrel_classes import PublishedNAFNet
from methods.baselines.start import scale_start
from methods.blocks import pad_to_multiple
from methods.restormer_backbone import as_is


@dataclass(frozen=True)
class NAFNetFeatures:
    """Encoder outputs, the padded input and the size to crop the result to.

    Attributes:
        image: (N, 3, H, W), padded.
        skips: outputs of the encoder levels, (N, C, H, W) first, each half the side of the last.
        middle: (N, 16C, H/16, W/16), from which the decoder starts.
        height: of the result in pixels.
        width: of the result in pixels.
    """

    image: Tensor
    skips: tuple[Tensor, ...]
    middle: Tensor
    height: int
    width: int

    def repeat(self, count: int) -> NAFNetFeatures:
        """Return the batch ``count`` times over, in turn."""
        return self._changed(lambda tensor: torch.cat([tensor] * count))

    def detach(self) -> NAFNetFeatures:
        """Return the same values, through which no gradient flows."""
        return self._changed(Tensor.detach)

    def maps(self) -> list[Tensor]:
        """Return the encoder's outputs, from its first level to the deepest."""
        return [*self.skips, self.middle]

    def _changed(self, change: Callable[[Tensor], Tensor]) -> NAFNetFeatures:
        """Return the features with each tensor changed."""
        skips = tuple(change(skip) for skip in self.skips)
        return replace(self, image=change(self.image), skips=skips, middle=change(self.middle))


class NAFNet(PublishedNAFNet):
    """NAFNet, trained with L1.

    Args:
        options: size of the network.
    """

    def __init__(self, options: NAFNetOptions) -> None:
        super().__init__(
            width=options.width,
            middle_blk_num=options.middle_blocks,
            enc_blk_nums=list(options.encoder_blocks),
            dec_blk_nums=list(options.decoder_blocks),
        )
        self.insertion_channels = {}
        for index, point in enumerate(INSERTION_POINTS):
            level = len(INSERTION_POINTS) - index
            self.insertion_channels[point] = options.width * 2**level
        self.decoder_levels = ("decoders.3", "decoders.2", "decoders.1", "decoders.0")
        scale_start(self.ending, options.output_gain)

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> NAFNetFeatures:
        """Encode (N, 3, H, W) in [0, 1] of any size; nothing is drawn."""
        image = pad_to_multiple(degraded, self.padder_size)
        x = self.intro(image)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(x))
            x = down(skips[-1])
        return NAFNetFeatures(image, tuple(skips), self.middle_blks(x), *degraded.shape[-2:])

    def decode_with(self, features: NAFNetFeatures, insert: Insert) -> Decoded:
        """Decode; ``insert`` gets the input of each decoder level.

        Neither routing nor auxiliary terms arise.
        """
        x = features.middle
        levels = zip(INSERTION_POINTS, self.ups, features.skips[::-1], self.decoders, strict=True)
        for point, up, skip, decoder in levels:
            x = decoder(up(insert(point, x)) + skip)
        restored = self.ending(x) + features.image
        return Decoded(restored[..., : features.height, : features.width], {}, {})

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode_with(self.encode(degraded), as_is).restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error."""
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}


def build(context: BuildContext) -> NAFNet:
    """Build from ``NAFNetOptions``."""
    return NAFNet(context.options)
