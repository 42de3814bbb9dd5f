"""Restormer's spec and size options, shared by the networks built on it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.method import CheckContext, MethodSpec, OptionError

LEVELS = ("level3", "level2", "level1")
"""Insertion points of the networks with Restormer's decoder, from the deepest up."""

RESTORMER_SIZES: dict[str, dict[str, Any]] = {
    # Trains in seconds, for tests.
    "tiny": {
        "dim": 8,
        "blocks": (1, 1, 1, 1),
        "refinement_blocks": 1,
        "heads": (1, 1, 2, 2),
        "output_gain": 0.1,
    },
    # Trains in minutes on two CPU cores.
    "small": {"dim": 16, "blocks": (1, 1, 1, 2), "refinement_blocks": 1, "output_gain": 0.1},
    "full": {},
}
"""Option values of each size of a recipe."""

LARGEST_EXPANSION = 64
"""Ratio of hidden channels beyond which a feed-forward network is a slip of the pen."""

_CHANNEL_FACTORS = (1, 2, 4, 8)


@dataclass(frozen=True, kw_only=True)
class RestormerOptions:
    """Size of a Restormer; the defaults are the published values.

    Attributes:
        dim: channels at full resolution; each level below has twice as many.
        blocks: transformer blocks per level, from full resolution down.
        refinement_blocks: blocks after the decoder.
        heads: attention heads per level; they divide the level's channels.
        ffn_expansion: ratio of hidden channels of the feed-forward network to its channels.
        output_gain: factor on the initial weights of the last convolution. The network adds its
            output to the input image, so a small gain starts it near the identity and a short
            training reaches a lower loss; 1 is the published value.
    """

    dim: int = 48
    blocks: tuple[int, int, int, int] = (4, 6, 6, 8)
    refinement_blocks: int = 4
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    ffn_expansion: float = 2.66
    output_gain: float = 1.0


def check_levels(
    dim: int, blocks: tuple[int, int, int, int], heads: tuple[int, int, int, int]
) -> None:
    """Check the sizes of the four levels.

    Raises:
        OptionError: a level has no blocks, or its heads do not divide its channels.
    """
    if min(dim, *blocks, *heads) < 1:
        raise OptionError("dim, blocks and heads must be at least 1")
    for factor, level_heads in zip(_CHANNEL_FACTORS, heads, strict=True):
        channels = dim * factor
        if channels % level_heads:
            raise OptionError(
                f"dim={dim} gives {channels} channels, which {level_heads} heads (heads={heads}) "
                "do not divide"
            )
    if dim % 2:
        raise OptionError(f"dim={dim} must be even, because each level halves it before it doubles")


def check_expansion(name: str, expansion: float, dim: int) -> None:
    """Check the ratio of hidden channels of a feed-forward network to its channels.

    Raises:
        OptionError: it leaves the narrowest level no hidden channel, or is beyond all measure.
    """
    if expansion > LARGEST_EXPANSION or int(dim * expansion) < 1:
        raise OptionError(
            f"{name}={expansion} with dim={dim} must leave at least one hidden channel, and be at "
            f"most {LARGEST_EXPANSION}"
        )


def check_restormer(options: RestormerOptions, context: CheckContext) -> None:
    """Check that a Restormer of this size can be built.

    Raises:
        OptionError: it cannot; the text names the option.
    """
    check_levels(options.dim, options.blocks, options.heads)
    check_expansion("ffn_expansion", options.ffn_expansion, options.dim)
    if options.refinement_blocks < 1:
        raise OptionError("refinement_blocks must be at least 1")


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="restormer",
        label="Restormer",
        summary="Restormer, no prompts",
        prompting="none",
        objective="L1",
        source="Zamir et al., CVPR 2022; swz30/Restormer",
        build="methods.restormer.network:build",
        options=RestormerOptions,
        sizes=RESTORMER_SIZES,
        check=check_restormer,
        insertion_points=LEVELS,
        fusion_points=LEVELS,
        has_decoder_levels=True,
        relative_cost=0.8,
        licence="Academic Public License (non-commercial)",
    ),
)
