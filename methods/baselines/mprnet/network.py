"""MPRNet: three stages, each of which is trained to restore.

Follows Zamir et al., "Multi-Stage Progressive Image Restoration", CVPR 2021 (arXiv 2102.02808),
repository swz30/MPRNet; the class is that of spandrel_extra_arches, keys and outputs are the
published ones. The loss is that of the authors' deraining and deblurring (Deraining/train.py,
losses.py): for the output of each stage, Charbonnier plus 0.05 times the same of the edges. Their
denoising leaves the edges out and clamps the outputs first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.method import Batch, BuildContext
from methods.baselines.extra_classes import PublishedMPRNet
from methods.baselines.mprnet.losses import charbonnier, edges
from methods.baselines.mprnet.spec import MPRNetOptions
from methods.baselines.start import scale_start
from methods.blocks import pad_to_multiple

_SIZE_MULTIPLE = 8


class MPRNet(PublishedMPRNet):
    """MPRNet with its published loss.

    Args:
        options: size of the network and weight of the edge loss.
    """

    def __init__(self, options: MPRNetOptions) -> None:
        super().__init__(
            n_feat=options.dim,
            scale_unetfeats=options.unet_growth,
            scale_orsnetfeats=options.final_growth,
            num_cab=options.blocks,
        )
        self.edge_weight = options.edge_weight
        for convolution in (self.sam12.conv2, self.sam23.conv2, self.tail):
            scale_start(convolution, options.output_gain)

    def restore_stages(self, degraded: Tensor) -> list[Tensor]:
        """Map (N, 3, H, W) to the restored images of the last, the second and the first stage."""
        height, width = degraded.shape[-2:]
        outputs = self(pad_to_multiple(degraded, _SIZE_MULTIPLE))
        return [output[..., :height, :width] for output in outputs]

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the last stage's image, not clamped."""
        return self.restore_stages(degraded)[0]

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return Charbonnier and, weighted, the edge loss; each is summed over the stages."""
        errors = [stage - batch.clean for stage in self.restore_stages(batch.degraded)]
        terms = {"charbonnier": torch.stack([charbonnier(error) for error in errors]).sum()}
        if self.edge_weight:
            edge_errors = [charbonnier(edges(error)) for error in errors]
            terms["edge"] = self.edge_weight * torch.stack(edge_errors).sum()
        return terms


def build(context: BuildContext) -> MPRNet:
    """Build from ``MPRNetOptions``."""
    return MPRNet(context.options)
