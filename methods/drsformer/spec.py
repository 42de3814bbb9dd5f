"""DRSformer's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.method import CheckContext, MethodSpec, OptionError
from methods.restormer.spec import RESTORMER_SIZES, RestormerOptions, check_expansion, check_levels


@dataclass(frozen=True, kw_only=True)
class DRSformerOptions:
    """Size of a DRSformer: published values are the defaults.

    Attributes:
        dim: channels of the first level; they double at each of the three below.
        blocks: transformer blocks of the four levels.
        heads: attention heads of the four levels.
        ffn_expansion: hidden width of the feed-forward per channel.
        mixture: whether the network has its two mixtures of convolutions (MEFC), before the
            encoder and after the decoder. The published weights for Rain200L and SPA-Data come
            from a network without them (basicsr/models/archs/DRSformer_arch_200L+SPA.py).
        output_gain: scales the initial weights of the last convolution, as in Restormer.
    """

    dim: int = 48
    blocks: tuple[int, int, int, int] = (4, 6, 6, 8)
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    ffn_expansion: float = 2.66
    mixture: bool = True
    output_gain: float = 1.0

    @property
    def backbone(self) -> RestormerOptions:
        """Size of the Restormer around the blocks, which has no refinement blocks of its own."""
        return RestormerOptions(
            dim=self.dim,
            blocks=self.blocks,
            refinement_blocks=0,
            heads=self.heads,
            ffn_expansion=self.ffn_expansion,
            output_gain=self.output_gain,
        )


def check_drsformer(options: DRSformerOptions, context: CheckContext) -> None:
    """Refuse sizes at which the attention cannot be built.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    check_levels(options.dim, options.blocks, options.heads)
    check_expansion("ffn_expansion", options.ffn_expansion, options.dim)
    # The last decoder level has twice the channels of the first encoder level, and its heads.
    for factor, heads in zip((1, 2, 4, 8), options.heads, strict=True):
        if options.dim * factor // heads < 2:
            raise OptionError(
                f"dim={options.dim} with heads={options.heads} gives heads of one channel, and "
                "the sparsest attention selects half of a head's channels; use fewer heads or a "
                "larger dim"
            )


def _sizes() -> dict[str, dict[str, Any]]:
    """Return Restormer's sizes without the refinement blocks, which DRSformer has not."""
    sizes = {}
    for size, values in RESTORMER_SIZES.items():
        own = dict(values)
        own.pop("refinement_blocks", None)
        sizes[size] = own
    return sizes


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="drsformer",
        label="DRSformer",
        summary="DRSformer as published: top-k channel attention, mixtures of convolutions",
        prompting="none",
        objective="L1",
        source="Chen et al., CVPR 2023; cschenxiang/DRSformer",
        build="methods.drsformer.network:build",
        options=DRSformerOptions,
        sizes=_sizes(),
        check=check_drsformer,
        has_decoder_levels=True,
        relative_cost=1.5,
        licence="none stated",
    ),
)
