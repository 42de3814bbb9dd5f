"""SIPL: a network whose decoder is guided by the features of its own restoration.

Follows Wu et al., "Boosting All-in-One Image Restoration via Self-Improved Privilege Learning",
arXiv 2505.24207, repository Aitical/SIPL: basicsr/archs/PromptIR_CyclyePrivilege_arch.py and
adair_arch.py for the networks, SIPLModel for training and test. On PromptIR and AdaIR shapes and
outputs are the published ones; the keys are those of the host behind ``host.``, which
authors' files need not have. The published option of mixing dictionaries and features by random
weights, which is off by default, is not written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from harness.method import AdaptsState, Batch, BuildContext, FusionHost, Insert
from methods.blocks import pad_to_multiple
from methods.restormer_backbone import Features
from methods.sipl.fusion import FusionBlock
from methods.sipl.spec import SIPLOptions

_SIZE_MULTIPLE = 16
"""Test images are padded to it once, before the first round."""

# Heads of the blocks in which dictionaries ask, and in which the decoder's features do. That the
# deepest dictionary asks with one head is as published.
_DICTIONARY_HEADS = {1: 1, 2: 2, 3: 1}
_DECODER_HEADS = {1: 1, 2: 2, 3: 4}

Privileged = Mapping[str, Tensor]
"""Encoder features of a restored image by the level of the decoder that they guide."""


class SIPL(nn.Module):
    """A host whose decoder asks dictionaries, which may ask the features of a restored image.

    Args:
        host: a network built on Restormer's backbone; its keys get the prefix ``host.``.
        dim: its channels at full resolution.
        options: dictionaries, and rounds at test.

    Raises:
        TypeError: ``host`` does not let its features be fused.
    """

    def __init__(self, host: nn.Module, dim: int, options: SIPLOptions) -> None:
        super().__init__()
        if not isinstance(host, FusionHost):
            raise TypeError(f"{type(host).__name__} does not let its features be fused")
        self.host: Any = host
        self.rounds = options.refinement_rounds
        for level in _DICTIONARY_HEADS:
            channels = dim * 2**level
            side = options.dictionary_patch_px // 2**level
            start = options.dictionary_std * torch.randn(1, channels, side, side)
            setattr(self, f"privileged_dictionary{level}", nn.Parameter(start))
            setattr(self, f"p{level}_cross", FusionBlock(channels, _DICTIONARY_HEADS[level]))
            setattr(self, f"cross_p{level}", FusionBlock(channels, _DECODER_HEADS[level]))

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to the restored image, not clamped.

        Each round restores twice: guided by the dictionaries, then by the features of that result.
        The next round starts from the last result.
        """
        image = pad_to_multiple(degraded, _SIZE_MULTIPLE)
        for _ in range(self.rounds):
            plain = self.restore_once(image, tasks)
            image = self.restore_once(image, tasks, self.privileged(plain))
        return image[..., : degraded.shape[-2], : degraded.shape[-1]]

    def restore_once(
        self, image: Tensor, tasks: tuple[str, ...] | None, privileged: Privileged | None = None
    ) -> Tensor:
        """Restore (N, 3, H, W), guided by features of a restored image or by the dictionaries."""
        with self._guided(privileged):
            restored: Tensor = self.host.restore(image, tasks)
        return restored

    def privileged(self, restored: Tensor) -> Privileged:
        """Return the encoder features of a restored image (N, 3, H, W)."""
        features: Features = self.host.encode(restored)
        # Features are paired by their channels: the encoder's second level with the decoder's
        # highest point, which is at half the image's side as well.
        return {"level1": features.level2, "level2": features.level3, "level3": features.latent}

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the host's losses where the features of the clean image, restored, guide it.

        As published the clean image is restored first, without gradient, and no loss has the
        dictionaries alone as guide, though that is how a test begins.
        """
        with torch.no_grad():
            privileged = self.privileged(self.restore_once(batch.clean, batch.tasks))
        with self._guided(privileged):
            terms: dict[str, Tensor] = self.host.losses(batch, rng)
        return terms

    @contextmanager
    def _guided(self, privileged: Privileged | None) -> Iterator[None]:
        """Let the host's decoder pass its features through the fusion meanwhile."""
        self.host.fuse = self._fusion(privileged)
        try:
            yield
        finally:
            del self.host.fuse

    def _fusion(self, privileged: Privileged | None) -> Insert:
        """Return what replaces the decoder's features at a level."""

        def fuse(level: str, x: Tensor) -> Tensor:
            number = level[-1]
            dictionary: Tensor = getattr(self, f"privileged_dictionary{number}")
            samples = len(x) if privileged is None else len(privileged[level])
            guide = dictionary.expand(samples, -1, -1, -1)
            if privileged is not None:
                guide = getattr(self, f"p{number}_cross")(guide, privileged[level])
            if samples != len(x):
                # Negatives are decoded together: each sample of the batch, several times in turn.
                guide = guide.repeat(len(x) // samples, 1, 1, 1)
            fused: Tensor = getattr(self, f"cross_p{number}")(x, guide)
            return fused

        return fuse

    def adapt_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Put the host's prefix before the names of the host, which authors' files lack."""
        own = self.state_dict()
        adapted, of_host = {}, {}
        for key, value in state.items():
            if key.startswith("host.") or key not in own:
                of_host[key.removeprefix("host.")] = value
            else:
                adapted[key] = value
        if isinstance(self.host, AdaptsState):
            of_host = dict(self.host.adapt_state(of_host))
        for key, value in of_host.items():
            adapted[f"host.{key}"] = value
        return adapted


def build(context: BuildContext) -> SIPL:
    """Build the host from its part of the options, and what SIPL adds from its own."""
    options: Any = context.options
    if context.host is None:
        raise ValueError("SIPL is added to a host, and the context has none")
    return SIPL(context.host(options.host_options), options.dim, options)
