"""MoCE-IR in general width, split into encoder and decoder so that prompts can be inserted.

Follows Zamfir et al., "Complexity Experts are Task-Discriminative Learners for Any Image
Restoration", CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR: net/moce_ir.py for
the network, train.py for the losses and the README for their weights. At the published
configurations keys, shapes and outputs are the published ones. Two things differ. The published
code draws the router's noise at test too, which here only ``noise_at_test`` does. Its test path
restores one image at a time, where here every image of a batch has its own experts.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext, Decoded, Insert
from methods.blocks import Downsample, PatchEmbed, Upsample, channels_last, pad_to_multiple
from methods.convolutions import conv1x1
from methods.moceir.decoder import DecoderBlock
from methods.moceir.encoder import EncoderBlock
from methods.moceir.features import Features
from methods.moceir.frequency import FrequencyEmbedding
from methods.moceir.routing import Router, keyed_noise
from methods.moceir.spec import MoCEIROptions
from methods.restormer_backbone import as_is
from methods.spectral_loss import spectral_error


class _Group(nn.Module):
    """Blocks of one level under the published key ``layers``."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def _encoder_group(options: MoCEIROptions, level: int, count: int) -> _Group:
    """Build ``count`` blocks at the width of ``level``, counted from 0 at full resolution."""
    width, heads = options.dim * 2**level, options.heads[level]
    return _Group([EncoderBlock(width, heads, options.ffn_expansion) for _ in range(count)])


def _decoder_level(options: MoCEIROptions, level: int) -> nn.ModuleList:
    """Build the upsampling, the reduction and the blocks of a decoder level."""
    width, heads = options.dim * 2**level, options.heads[level]
    embedding = options.dim * 2**3
    blocks: list[nn.Module] = []
    for _ in range(options.decoder_blocks[level]):
        blocks.append(DecoderBlock(width, heads, embedding, options))
    # The order in which the three are built decides their initial weights.
    reduce = conv1x1(2 * width, width)
    return nn.ModuleList([Upsample(2 * width), reduce, _Group(blocks)])


class MoCEIR(nn.Module):
    """MoCE-IR, trained with L1, an error of spectra and a load-balancing loss of its experts.

    Args:
        options: network, experts and objective.
    """

    size_multiple = 8

    def __init__(self, options: MoCEIROptions) -> None:
        super().__init__()
        self.options = options
        d = options.dim
        self.patch_embed = PatchEmbed(d)
        self.freq_embed = FrequencyEmbedding(8 * d)
        self.enc = nn.ModuleList()
        for level in range(3):
            group = _encoder_group(options, level, options.blocks[level])
            self.enc.append(nn.ModuleList([group, Downsample(d * 2**level)]))
        self.latent = _encoder_group(options, 3, options.blocks[3])
        self.dec = nn.ModuleList(_decoder_level(options, level) for level in (2, 1, 0))
        self.refinement = _encoder_group(options, 0, options.refinement_blocks)
        self.output = nn.Conv2d(d, 3, 3, padding=1, bias=False)
        with torch.no_grad():
            self.output.weight *= options.output_gain
        self.insertion_channels: Mapping[str, int] = {"level3": 4 * d, "level2": 2 * d, "level1": d}

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Features:
        """Encode (N, 3, H, W) in [0, 1] of any size.

        The routers' noise is drawn from ``rng``. Without a generator there is no noise, except
        at test with the option ``noise_at_test``.
        """
        image = channels_last(pad_to_multiple(degraded, self.size_multiple))
        levels, x = [], self.patch_embed(image)
        for blocks, down in self.enc:
            levels.append(blocks(x))
            x = down(levels[-1])
        noise = self._noise(degraded, rng)
        return Features(image, *levels, self.latent(x), noise, *degraded.shape[-2:])

    def _noise(self, degraded: Tensor, rng: torch.Generator | None) -> Tensor | None:
        """Return the routers' noise (N, decoder blocks, experts), if they have any."""
        shape = (len(degraded), sum(self.options.decoder_blocks), self.options.experts)
        if rng is not None:
            return torch.randn(shape, generator=rng, device=rng.device).to(
                degraded.device, non_blocking=True
            )
        if self.options.noise_at_test and not self.training:
            return keyed_noise(degraded, *shape[1:])
        return None

    def decode_with(self, features: Features, insert: Insert) -> Decoded:
        """Decode; ``insert`` gets each level's features before its decoder blocks.

        While training, ``auxiliary`` holds the experts' ``load_balancing``; ``routing`` is empty.
        """
        embedding = self.freq_embed(features.latent)
        skips = (features.level3, features.level2, features.level1)
        levels = zip(self.insertion_channels, skips, self.dec, strict=True)
        x = features.latent
        losses: list[Tensor] = []
        for name, skip, (up, reduce, blocks) in levels:
            x = insert(name, reduce(torch.cat([up(x), skip], 1)))
            for block in blocks.layers:
                noise = None if features.noise is None else features.noise[:, len(losses)]
                x, load_balancing = block(x, embedding, noise)
                losses.append(load_balancing)
        restored = self.output(self.refinement(x)) + features.image
        weight = self.options.expert_load_balancing_weight
        auxiliary = {}
        if self.training and weight:
            auxiliary["load_balancing"] = weight * torch.stack(losses).mean()
        return Decoded(restored[..., : features.height, : features.width], {}, auxiliary)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode_with(self.encode(degraded), as_is).restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, the error of the spectra, and the load balancing of the experts."""
        decoded = self.decode_with(self.encode(batch.degraded, rng), as_is)
        terms = self.reconstruction_losses(decoded.restored, batch.clean)
        return {**terms, **decoded.auxiliary}

    def reconstruction_losses(self, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """Return L1 and the error of the spectra of images (N, 3, H, W), weighted."""
        terms = {"l1": F.l1_loss(restored, clean)}
        if self.options.fft_weight:
            terms["fft"] = self.options.fft_weight * spectral_error(restored, clean)
        return terms

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Add the experts' complexities where ``state`` lacks them.

        The network's size determines them. Training stores them; an export of the parameters
        alone does not.
        """
        adapted: dict[str, Tensor] = {}
        for name, module in self.named_modules():
            if isinstance(module, Router):
                adapted[f"{name}.complexity"] = module.complexity
        adapted.update(state)
        return adapted


def build(context: BuildContext) -> MoCEIR:
    """Build from ``MoCEIROptions``."""
    return MoCEIR(context.options)
