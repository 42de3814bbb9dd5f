"""MoCE-IR in general width, split into encoder and decoder so that prompts can be inserted.

Follows Zamfir et al., "Complexity Experts are Task-Discriminative Learners for Any Image
Restoration", CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR: net/moce_ir.py for
the network, train.py for the losses and the README for their weights. At the published
configurations keys, shapes and outputs are the published ones. Two things differ: the published
code draws the router's noise at test too, where an option brings it back, and its test path takes
one image at a time, where here every image of a batch has its own experts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, BuildContext, Decoded, Insert
from methods.blocks import (
    ChannelAttention,
    Downsample,
    GatedFeedForward,
    LayerNorm,
    PatchEmbed,
    Upsample,
    add_feed_forward,
    channels_last,
    conv1x1,
    pad_to_multiple,
)
from methods.moceir.decoder import DecoderBlock
from methods.moceir.routing import FrequencyEmbedding, Router, keyed_noise
from methods.moceir.spec import MoCEIROptions
from methods.restormer_backbone import as_is


@dataclass(frozen=True)
class Features:
    """What the decoder needs of a batch.

    Attributes:
        image: (N, 3, H, W), padded.
        level1: output of the encoder at full resolution; level2 and level3 follow.
        level2: see level1.
        level3: see level1.
        latent: output of the deepest blocks.
        noise: (N, decoder blocks, experts) standard normal for the routers, or None.
        height: of the result, which is cropped to it.
        width: see height.
    """

    image: Tensor
    level1: Tensor
    level2: Tensor
    level3: Tensor
    latent: Tensor
    noise: Tensor | None
    height: int
    width: int

    def repeat(self, count: int) -> Features:
        """Return the batch ``count`` times over, in turn."""
        return self._each(lambda tensor: torch.cat([tensor] * count))

    def detach(self) -> Features:
        """Return the same values, through which no gradient flows."""
        return self._each(Tensor.detach)

    def maps(self) -> list[Tensor]:
        """Return what the encoder made of the image, from its first level to the latent."""
        return [self.level1, self.level2, self.level3, self.latent]

    def _each(self, change: Callable[[Tensor], Tensor]) -> Features:
        values = (getattr(self, field.name) for field in fields(self))
        return Features(*(change(v) if isinstance(v, Tensor) else v for v in values))


class EncoderBlock(nn.Module):
    """Restormer's block with biases, under the published keys."""

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([LayerNorm(channels), LayerNorm(channels)])
        self.mixer = ChannelAttention(channels, heads, bias=True)
        self.ffn = GatedFeedForward(channels, expansion, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; fastest in channels-last memory."""
        y = x.permute(0, 2, 3, 1).contiguous()
        y = y + self.mixer(y, self.norms[0])
        return add_feed_forward(y, self.norms[1], self.ffn).permute(0, 3, 1, 2)


class _Group(nn.Module):
    """Blocks of one level under the published key ``layers``."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class MoCEIR(nn.Module):
    """MoCE-IR, trained with L1, an error of spectra and a balance of its experts.

    Args:
        options: network, experts and objective.
    """

    size_multiple = 8

    def __init__(self, options: MoCEIROptions) -> None:
        super().__init__()
        self.options = options
        widths = [options.dim * 2**level for level in range(4)]

        def group(level: int, count: int) -> _Group:
            size = (widths[level], options.heads[level], options.ffn_expansion)
            return _Group([EncoderBlock(*size) for _ in range(count)])

        def decoder(level: int) -> nn.ModuleList:
            width, heads = widths[level], options.heads[level]
            blocks: list[nn.Module] = [
                DecoderBlock(width, heads, widths[-1], options)
                for _ in range(options.decoder_blocks[level])
            ]
            reduce = conv1x1(widths[level + 1], width)
            return nn.ModuleList([Upsample(widths[level + 1]), reduce, _Group(blocks)])

        self.patch_embed = PatchEmbed(options.dim)
        self.freq_embed = FrequencyEmbedding(widths[-1])
        self.enc = nn.ModuleList(
            nn.ModuleList([group(level, options.blocks[level]), Downsample(widths[level])])
            for level in range(3)
        )
        self.latent = group(3, options.blocks[3])
        self.dec = nn.ModuleList(decoder(level) for level in (2, 1, 0))
        self.refinement = group(0, options.refinement_blocks)
        self.output = nn.Conv2d(options.dim, 3, 3, padding=1, bias=False)
        with torch.no_grad():
            self.output.weight *= options.output_gain
        self.insertion_channels: Mapping[str, int] = {
            f"level{level + 1}": widths[level] for level in (2, 1, 0)
        }

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Features:
        """Encode (N, 3, H, W) in [0, 1] of any size.

        The routers' noise is drawn from ``rng``; without one they have none, but for the
        option ``noise_at_test``.
        """
        image = channels_last(pad_to_multiple(degraded, self.size_multiple))
        levels, x = [], self.patch_embed(image)
        for blocks, down in self.enc:
            levels.append(blocks(x))
            x = down(levels[-1])
        noise = self._noise(degraded, rng)
        return Features(image, *levels, self.latent(x), noise, *degraded.shape[-2:])

    def _noise(self, degraded: Tensor, rng: torch.Generator | None) -> Tensor | None:
        shape = (len(degraded), sum(self.options.decoder_blocks), self.options.experts)
        if rng is not None:
            return torch.randn(shape, generator=rng, device=rng.device).to(degraded.device)
        if self.options.noise_at_test and not self.training:
            return keyed_noise(degraded, *shape[1:])
        return None

    def decode_with(self, features: Features, insert: Insert) -> Decoded:
        """Decode, handing each level's features to ``insert`` before its decoder blocks.

        ``auxiliary`` holds the experts' ``balance`` while training; ``routing`` is empty.
        """
        embedding = self.freq_embed(features.latent)
        skips = (features.level3, features.level2, features.level1)
        x, balances = features.latent, []
        for name, skip, (up, reduce, blocks) in zip(
            self.insertion_channels, skips, self.dec, strict=True
        ):
            x = insert(name, reduce(torch.cat([up(x), skip], 1)))
            for block in blocks.layers:
                noise = None if features.noise is None else features.noise[:, len(balances)]
                x, balance = block(x, embedding, noise)
                balances.append(balance)
        restored = self.output(self.refinement(x)) + features.image
        auxiliary = {}
        if self.training and self.options.expert_balance_weight:
            auxiliary["balance"] = self.options.expert_balance_weight * torch.stack(balances).mean()
        return Decoded(restored[..., : features.height, : features.width], {}, auxiliary)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped."""
        return self.decode_with(self.encode(degraded), as_is).restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, the error of the spectra, and the balance of the experts."""
        decoded = self.decode_with(self.encode(batch.degraded, rng), as_is)
        terms = {"l1": F.l1_loss(decoded.restored, batch.clean)}
        if self.options.fft_weight:
            error = spectral_error(decoded.restored, batch.clean)
            terms["fft"] = self.options.fft_weight * error
        return {**terms, **decoded.auxiliary}

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Add the experts' complexities where ``state`` lacks them.

        They follow from the network's size; training stores them, an export of the
        parameters alone does not.
        """
        own = {
            f"{name}.complexity": module.complexity
            for name, module in self.named_modules()
            if isinstance(module, Router)
        }
        return {**{k: v for k, v in own.items() if k not in state}, **state}


def spectral_error(restored: Tensor, clean: Tensor) -> Tensor:
    """Return the mean absolute difference of real and imaginary parts of the spectra.

    The transform is over the two image axes, one half of the spectrum, not normalised, as in
    the published code's ``FFTLoss`` (utils/loss_utils.py).
    """
    # The transform is linear, so one of the difference does; it knows no bfloat16.
    spectrum = torch.fft.rfft2(restored.float() - clean.float())
    return torch.view_as_real(spectrum).abs().mean()


def build(context: BuildContext) -> MoCEIR:
    """Build from ``MoCEIROptions``."""
    return MoCEIR(context.options)
