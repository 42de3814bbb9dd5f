"""NAFNet's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.method import CheckContext, MethodSpec
from methods.baselines.checks import require_at_least, require_blocks

INSERTION_POINTS = ("level4", "level3", "level2", "level1")
"""Insertion points of prompts, from the deepest up: level k works at 1/2^k of the image."""


@dataclass(frozen=True, kw_only=True)
class NAFNetOptions:
    """Size of a NAFNet.

    The defaults are megvii-research/NAFNet, options/train/GoPro/NAFNet-width32.yml, the 17.11 M
    parameters of all-in-one tables; its SIDD networks have ``encoder_blocks=2,2,4,8``,
    ``middle_blocks=12`` and ``decoder_blocks=2,2,2,2``.

    Attributes:
        width: channels of the first level; they double at each of the four below.
        encoder_blocks: blocks of the four encoder levels, from the first down.
        middle_blocks: blocks between encoder and decoder.
        decoder_blocks: blocks of the four decoder levels, from the deepest up.
        output_gain: scales the initial weights of the last convolution, whose output is added
            to the input image; a small gain starts near the identity, 1 as published.
    """

    width: int = 32
    encoder_blocks: tuple[int, int, int, int] = (1, 1, 1, 28)
    middle_blocks: int = 1
    decoder_blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    output_gain: float = 1.0


def check_nafnet(options: NAFNetOptions, context: CheckContext) -> None:
    """Refuse levels without blocks or channels.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    require_at_least(1, width=options.width, middle_blocks=options.middle_blocks)
    require_blocks(encoder_blocks=options.encoder_blocks, decoder_blocks=options.decoder_blocks)


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="nafnet",
        label="NAFNet",
        summary="NAFNet, through spandrel's classes",
        prompting="none",
        objective="L1",
        source="Chen et al., ECCV 2022; megvii-research/NAFNet",
        build="methods.baselines.nafnet.network:build",
        options=NAFNetOptions,
        check=check_nafnet,
        insertion_points=INSERTION_POINTS,
        has_decoder_levels=True,
        relative_cost=0.35,
        sizes={
            "tiny": {"width": 8, "encoder_blocks": (1, 1, 1, 1), "output_gain": 0.1},
            "small": {"width": 16, "encoder_blocks": (1, 1, 1, 4), "output_gain": 0.1},
            "full": {},
        },
        licence="MIT",
    ),
)
