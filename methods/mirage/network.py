"""MIRAGE in general width.

Follows Ren et al., "Efficient Degradation-agnostic Image Restoration via Channel-Wise Functional
Decomposition and Manifold Regularization", ICLR 2026 (arXiv 2505.18679), repository
Amazingren/MIRAGE, net/mirage_small.py and net/mirage_tiny.py. At the published sizes keys, shapes
and outputs are the published ones. In the published code the widths that enter the contrast are
written as numbers; here they follow ``dim``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext
from methods.blocks import Upsample
from methods.convolutions import conv1x1
from methods.mirage.block import MIRAGEBlock
from methods.mirage.gated import skipping
from methods.mirage.losses import contrast, covariance
from methods.mirage.spec import MIRAGEOptions
from methods.restormer_backbone import Features, RestormerBackbone
from methods.spectral_loss import spectral_error

_SHALLOW, _LATENT = 12, 24
"""Channels to which the features are reduced before their covariance is computed."""
_EMBEDDING = 64


class MIRAGE(RestormerBackbone):
    """MIRAGE, trained with L1, an error of spectra and a contrast of covariances.

    Args:
        options: network and objective; the defaults are those of the small network.
    """

    def __init__(self, options: MIRAGEOptions) -> None:
        super().__init__(options, MIRAGEBlock)
        self.options = options
        d = options.dim
        self.reduce_dim_level3 = conv1x1(8 * d, 4 * d)
        self.up4_3 = Upsample(4 * d)
        self.reduce_chan_level3 = conv1x1(6 * d, 4 * d)
        # What follows serves the contrast alone.
        self.reduce_shallow = nn.Conv2d(d, _SHALLOW, 1)
        self.reduce_latent = nn.Conv2d(4 * d, _LATENT, 1)
        self.spd_proj_shallow = nn.Linear(_SHALLOW**2, _EMBEDDING)
        self.spd_proj_latent = nn.Linear(_LATENT**2, _EMBEDDING)

    def decode_with_latent(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return the restored images (N, 3, H, W), and the reduced latent (N, 4C, H/8, W/8)."""
        reduced = self.reduce_dim_level3(features.latent)

        def replace_latent(level: str, x: Tensor) -> Tensor:
            return reduced if level == "level3" else x

        return self.decode_backbone(features, replace_latent), reduced

    def contrast(self, features: Features, reduced: Tensor) -> Tensor:
        """Return the weighted contrast of an encoded batch; 0 for one image."""
        shallow = self.spd_proj_shallow(covariance(self.reduce_shallow(features.level1)))
        latent = self.spd_proj_latent(covariance(self.reduce_latent(reduced)))
        loss = contrast(shallow, latent, self.options.contrast_temperature)
        return self.options.contrast_weight * loss

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode_with_latent(self.encode(degraded))[0]

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, the error of the spectra, and the contrast of covariances."""
        with skipping(self, self.options.drop_path, len(batch.degraded), rng):
            features = self.encode(batch.degraded)
            restored, reduced = self.decode_with_latent(features)
        terms = {"l1": F.l1_loss(restored, batch.clean)}
        if self.options.fft_weight:
            error = spectral_error(restored, batch.clean)
            terms["fft"] = self.options.fft_weight * error
        if self.options.contrast_weight:
            terms["contrast"] = self.contrast(features, reduced)
        return terms


def build(context: BuildContext) -> MIRAGE:
    """Build from ``MIRAGEOptions``."""
    return MIRAGE(context.options)
