"""DFPIR in general width.

Follows Tian et al., CVPR 2025 (arXiv 2505.12630), repository TxpHome/DFPIR, net/model.py (class
ChannelShuffle_skip_textguaid) and its training scripts; keys, shapes and outputs are the published
ones. CLIP's text encoder is not part of the network: its features are an option's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.method import Batch, BuildContext
from methods.blocks import Upsample
from methods.convolutions import conv1x1
from methods.dfpir.guided import GuidedBlock
from methods.dfpir.spec import DFPIROptions
from methods.dfpir.text import draw_features, read_features
from methods.restormer_backbone import RestormerBackbone, as_is
from methods.task_indices import task_indices

_FEATURES = "text_features"


class DFPIR(RestormerBackbone):
    """DFPIR, trained with L1: the encoder is a Restormer's, what the decoder gets is perturbed.

    Args:
        options: size of the network, and the source of the text features.
        tasks: task names; feature i belongs to task i.
    """

    text_features: Tensor

    def __init__(self, options: DFPIROptions, tasks: tuple[str, ...]) -> None:
        super().__init__(options)
        self.tasks = tasks
        d = options.dim

        def guided(level: int) -> GuidedBlock:
            heads, share = options.heads[level], options.selected_share
            return GuidedBlock(d * 2**level, heads, options.ffn_expansion, share)

        self.encoder_shuffle_channel1 = guided(0)
        self.encoder_shuffle_channel2 = guided(1)
        self.encoder_shuffle_channel3 = guided(2)
        self.latent_shuffle_channel = guided(3)
        self.up4_3 = Upsample(8 * d)
        self.reduce_chan_level3 = conv1x1(8 * d, 4 * d)
        path = options.text_features
        features = draw_features(tasks) if path is None else read_features(path, tasks)
        self.register_buffer(_FEATURES, torch.tensor(features))

    def restore_under(self, degraded: Tensor, text: Tensor) -> Tensor:
        """Restore ``degraded`` (N, 3, H, W) under text features (N, 512), or (1, 512) for all."""
        text = text.expand(len(degraded), -1)
        encoded = self.encode(degraded)
        perturbed = replace(
            encoded,
            level1=self.encoder_shuffle_channel1(encoded.level1, text),
            level2=self.encoder_shuffle_channel2(encoded.level2, text),
            level3=self.encoder_shuffle_channel3(encoded.level3, text),
            latent=self.latent_shuffle_channel(encoded.latent, text),
        )
        return self.decode_backbone(perturbed, as_is)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped.

        Raises:
            ValueError: ``tasks`` were not given.
        """
        if tasks is None:
            raise ValueError("a text of the true task guides the network, and no tasks were given")
        text = self.text_features[task_indices(tasks, self.tasks, degraded.device)]
        return self.restore_under(degraded, text)

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the mean absolute error under the texts of the true tasks."""
        return {"l1": F.l1_loss(self.restore(batch.degraded, batch.tasks), batch.clean)}

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Add this network's text features where ``state`` has none.

        The authors' checkpoints hold the restorer alone; CLIP's features, which the option
        ``text_features`` reads, belong to them. Under others their weights restore badly.
        """
        return {_FEATURES: self.text_features, **state}


def build(context: BuildContext) -> DFPIR:
    """Build from ``DFPIROptions``."""
    return DFPIR(context.options, context.tasks)
