"""DRSformer in general width.

Follows Chen et al., CVPR 2023 (arXiv 2303.11950), repository cschenxiang/DRSformer,
basicsr/models/archs/DRSformer_arch.py and, for ``mixture=False``, DRSformer_arch_200L+SPA.py
in the same folder; the training loss is that of Options/Deraining.yml. Keys, shapes and outputs
are the published ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.blocks import Upsample
from methods.convolutions import conv1x1
from methods.drsformer.mixture import Mixture
from methods.drsformer.sparse import SparseBlock
from methods.drsformer.spec import DRSformerOptions
from methods.restormer_backbone import RestormerBackbone, as_is


class DRSformer(RestormerBackbone):
    """DRSformer, trained with L1.

    Args:
        options: size of the network; the defaults are the published ones.
    """

    def __init__(self, options: DRSformerOptions) -> None:
        super().__init__(options.backbone, SparseBlock)
        d = options.dim
        self.encoder_level0 = Mixture(d) if options.mixture else nn.Identity()
        self.up4_3 = Upsample(8 * d)
        self.reduce_chan_level3 = conv1x1(8 * d, 4 * d)
        if options.mixture:
            self.refinement = Mixture(2 * d)

    def embed(self, image: Tensor) -> Tensor:
        """Map (N, 3, H, W) to the first level's features, through the first mixture."""
        return self.encoder_level0(super().embed(image))

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode_backbone(self.encode(degraded), as_is)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error, the whole objective of the published training."""
        return {"l1": F.l1_loss(self.restore(batch.degraded), batch.clean)}


def build(context: BuildContext) -> DRSformer:
    """Build from ``DRSformerOptions``."""
    return DRSformer(context.options)
