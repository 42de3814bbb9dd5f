"""Uformer.

Follows Wang et al., "Uformer: A General U-Shaped Transformer for Image Restoration", CVPR 2022
(arXiv 2106.03106), repository ZhendongWang6/Uformer; the class is spandrel's, keys and shapes are
the published ones. It is the network of the authors' deblurring, built for 256 pixels: the one that
they build for denoising's 128 does not shift the windows of its bottleneck. The loss is L1, as in
all-in-one retrainings; the authors' is Charbonnier.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.method import Batch, BuildContext
from methods.baselines.spandrel_classes import PublishedUformer
from methods.baselines.start import drawing_from, scale_start
from methods.baselines.uformer.spec import UformerOptions
from methods.blocks import pad_to

_DEEPEST = 16
"""The bottleneck works at this fraction of the image's side, which windows must divide."""


class Uformer(PublishedUformer):
    """Uformer, trained with L1; stochastic depth is drawn from the ``rng`` of the losses.

    Args:
        options: size of the network.
    """

    def __init__(self, options: UformerOptions) -> None:
        super().__init__(
            img_size=2 * _DEEPEST * options.window,
            embed_dim=options.dim,
            depths=list(options.depths),
            win_size=options.window,
            mlp_ratio=options.mlp_ratio,
            drop_path_rate=options.drop_path,
            modulator=True,
        )
        scale_start(self.output_proj.proj[0], options.output_gain)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped.

        The network works on squares, so a wide image costs as much as a square of its width. It
        is continued by reflection; the authors add zeros around it and mask them.
        """
        height, width = degraded.shape[-2:]
        multiple = _DEEPEST * self.win_size
        side = -(-max(height, width) // multiple) * multiple
        return self(pad_to(degraded, side, side))[..., :height, :width]

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error."""
        with drawing_from(rng, batch.degraded.device):
            restored = self.restore(batch.degraded)
        return {"l1": F.l1_loss(restored, batch.clean)}


def build(context: BuildContext) -> Uformer:
    """Build from ``UformerOptions``."""
    return Uformer(context.options)
