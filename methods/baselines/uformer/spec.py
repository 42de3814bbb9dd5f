"""Uformer's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.method import CheckContext, MethodSpec, OptionError
from methods.baselines.checks import (
    require_at_least,
    require_blocks,
    require_drop_path,
    require_mlp_ratio,
)


@dataclass(frozen=True, kw_only=True)
class UformerOptions:
    """Size of a Uformer with modulators.

    The defaults are Uformer-B: ZhendongWang6/Uformer, utils/model_utils.py (``Uformer_B``), the
    50.88 M parameters of all-in-one tables.

    Attributes:
        dim: channels of the first level; they double at each of the four below.
        depths: blocks of the four encoder levels, the bottleneck and the four decoder levels.
        window: side of the attention windows in pixels; images are padded to squares whose
            side is a multiple of 16 windows.
        mlp_ratio: hidden width of the feed-forward per channel.
        drop_path: highest rate at which a training step skips a block (stochastic depth).
        output_gain: scales the initial weights of the last convolution, as in NAFNet.
    """

    dim: int = 32
    depths: tuple[int, int, int, int, int, int, int, int, int] = (1, 2, 8, 8, 2, 8, 8, 2, 1)
    window: int = 8
    mlp_ratio: float = 4.0
    drop_path: float = 0.1
    output_gain: float = 1.0


def check_uformer(options: UformerOptions, context: CheckContext) -> None:
    """Refuse levels without blocks or channels, and windows that cannot be shifted.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    require_at_least(1, dim=options.dim)
    require_at_least(2, window=options.window)
    require_blocks(depths=options.depths)
    require_drop_path(options.drop_path)
    require_mlp_ratio(options.mlp_ratio, options.dim)
    encoder, decoder = sum(options.depths[:4]), sum(options.depths[5:])
    if decoder > encoder:
        raise OptionError(
            f"depths={options.depths} has {decoder} decoder blocks and {encoder} encoder blocks; "
            "the decoder takes its drop rates from the encoder, so it cannot have more"
        )


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="uformer",
        label="Uformer",
        summary="Uformer, through spandrel's classes",
        prompting="none",
        objective="L1",
        source="Wang et al., CVPR 2022; ZhendongWang6/Uformer",
        build="methods.baselines.uformer.network:build",
        options=UformerOptions,
        check=check_uformer,
        relative_cost=1.35,
        sizes={
            "tiny": {"dim": 8, "depths": (1,) * 9, "window": 2, "output_gain": 0.1},
            # Windows of 4: those of 8 would pad the 64-pixel patches of small trainings to 128.
            "small": {
                "dim": 16,
                "depths": (1, 1, 2, 2, 2, 2, 2, 1, 1),
                "window": 4,
                "drop_path": 0.0,
                "output_gain": 0.1,
            },
            "full": {},
        },
        licence="MIT",
    ),
)
