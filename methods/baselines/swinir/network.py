"""SwinIR for images of unchanged size.

Follows Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCVW 2021 (arXiv
2108.10257), repository JingyunLiang/SwinIR; the class is spandrel's, weights and outputs are the
published ones. The loss is L1 for every task, as in all-in-one retrainings; the authors train
denoising with Charbonnier. Padding reflects at the right and bottom to the next multiple of the
window, where the authors' test adds a whole window to sides that are multiples already.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.baselines.spandrel_classes import PublishedSwinIR
from methods.baselines.start import drawing_from, scale_start
from methods.baselines.swinir.spec import SwinIROptions
from methods.blocks import pad_to_multiple

_MASK = ".attn_mask"
_DECODER_GROUPS = 3


class SwinIR(PublishedSwinIR):
    """SwinIR, trained with L1; stochastic depth is drawn from the ``rng`` of the losses.

    The published blocks store the masks of shifted windows for one size of image, in their
    checkpoints too, and compute them anew in each block for all other sizes. Here all blocks
    share one mask, of the last image's size, and none is stored.

    Args:
        options: size of the network.
    """

    def __init__(self, options: SwinIROptions) -> None:
        with warnings.catch_warnings():
            # Spandrel calls torch.meshgrid without ``indexing``, and relies on the default.
            warnings.filterwarnings("ignore", message="torch.meshgrid")
            super().__init__(
                img_size=2 * options.window,
                in_chans=3,
                embed_dim=options.dim,
                depths=list(options.depths),
                num_heads=[options.heads] * len(options.depths),
                window_size=options.window,
                mlp_ratio=options.mlp_ratio,
                drop_path_rate=options.drop_path,
                upscale=1,
                upsampler="",
            )
        for block in self._blocks():
            block.register_buffer("attn_mask", block.attn_mask, persistent=False)
        # As DCPT splits it: the last three groups are the decoder.
        names = [f"layers.{number}" for number in range(len(options.depths))]
        self.decoder_levels = tuple(reversed(names[-_DECODER_GROUPS:]))
        scale_start(self.conv_last, options.output_gain)

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Drop the masks that published checkpoints hold; the image's size determines them."""
        return {key: value for key, value in state.items() if not key.endswith(_MASK)}

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        image = pad_to_multiple(degraded, self.window_size)
        self._fit_masks(image)
        return self(image)[..., : degraded.shape[-2], : degraded.shape[-1]]

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error."""
        with drawing_from(rng, batch.degraded.device):
            restored = self.restore(batch.degraded)
        return {"l1": F.l1_loss(restored, batch.clean)}

    def _blocks(self) -> list[nn.Module]:
        """Return the attention blocks of all residual groups, in order."""
        blocks: list[nn.Module] = []
        for layer in self.layers:
            blocks.extend(layer.residual_group.blocks)
        return blocks

    def _fit_masks(self, image: Tensor) -> None:
        """Set all blocks to the size of ``image``, and those that shift to one mask for it."""
        size = tuple(image.shape[-2:])
        mask: Tensor | None = None
        for block in self._blocks():
            if block.input_resolution == size:
                continue
            block.input_resolution = size
            if block.shift_size > 0:
                if mask is None:
                    mask = block.calculate_mask(size).to(image, non_blocking=True)
                block.attn_mask = mask


def build(context: BuildContext) -> SwinIR:
    """Build from ``SwinIROptions``."""
    return SwinIR(context.options)
