"""NAFNet, split into encoder and decoder so that prompts can go in.

Chen et al., "Simple Baselines for Image Restoration", ECCV 2022 (arXiv 2204.04676), repository
megvii-research/NAFNet; the class is spandrel's, keys and outputs are the published ones. Two
things differ from the authors' code: padding reflects the image instead of adding zeros, and the
loss is L1 instead of their PSNR loss, because all-in-one papers retrain their baselines alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from spandrel.architectures.NAFNet import NAFNet as PublishedNAFNet
from torch import Tensor

from harness.method import Batch, Decoded, Insert
from methods.baselines.options import NAFNET_PLACES, NAFNetOptions
from methods.baselines.start import scale_start
from methods.blocks import pad_to_multiple


@dataclass(frozen=True)
class NAFNetFeatures:
    """Encoder outputs, the padded input and the size to crop the result to.

    ``skips`` are from the first level down; ``middle`` is what the decoder starts from.
    """

    image: Tensor
    skips: tuple[Tensor, ...]
    middle: Tensor
    height: int
    width: int

    def repeat(self, count: int) -> NAFNetFeatures:
        """Return the batch ``count`` times over, in turn."""
        return replace(
            self,
            image=torch.cat([self.image] * count),
            skips=tuple(torch.cat([skip] * count) for skip in self.skips),
            middle=torch.cat([self.middle] * count),
        )

    def maps(self) -> list[Tensor]:
        """Return what the encoder made of the image, from its first level to the deepest."""
        return [*self.skips, self.middle]

    def detach(self) -> NAFNetFeatures:
        """Return the same values, through which no gradient flows."""
        return replace(
            self,
            image=self.image.detach(),
            skips=tuple(skip.detach() for skip in self.skips),
            middle=self.middle.detach(),
        )


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
        depth = len(NAFNET_PLACES)
        self.insertion_channels = {
            place: options.width * 2 ** (depth - i) for i, place in enumerate(NAFNET_PLACES)
        }
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
        """Decode, handing what leads into each decoder level to ``insert``."""
        x = features.middle
        levels = zip(NAFNET_PLACES, self.ups, features.skips[::-1], self.decoders, strict=True)
        for place, up, skip, decoder in levels:
            x = decoder(up(insert(place, x)) + skip)
        restored = self.ending(x) + features.image
        return Decoded(restored[..., : features.height, : features.width], {}, {})

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode_with(self.encode(degraded), lambda place, x: x).restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error."""
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}
