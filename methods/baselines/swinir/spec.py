"""SwinIR's options, their checks, and its spec. Imports no torch."""

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
class SwinIROptions:
    """Size of a SwinIR for images of unchanged size.

    The defaults are SwinIR-M for colour denoising: JingyunLiang/SwinIR, main_test_swinir.py,
    task ``color_dn``.

    Attributes:
        dim: channels.
        depths: attention blocks of each residual group; every second one shifts its windows.
        heads: attention heads of all blocks.
        window: side of the attention windows in pixels.
        mlp_ratio: hidden width of the feed-forward per channel.
        drop_path: highest rate at which a training step skips a block (stochastic depth).
        output_gain: scales the initial weights of the last convolution, as in NAFNet.
    """

    dim: int = 180
    depths: tuple[int, ...] = (6, 6, 6, 6, 6, 6)
    heads: int = 6
    window: int = 8
    mlp_ratio: float = 2.0
    drop_path: float = 0.1
    output_gain: float = 1.0


def check_swinir(options: SwinIROptions, context: CheckContext) -> None:
    """Refuse widths that the heads do not divide, and windows that cannot be shifted.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    require_at_least(1, dim=options.dim, heads=options.heads)
    require_at_least(2, window=options.window)
    require_blocks(depths=options.depths)
    require_drop_path(options.drop_path)
    require_mlp_ratio(options.mlp_ratio, options.dim)
    if options.dim % options.heads:
        raise OptionError(f"dim={options.dim} is no multiple of heads={options.heads}")


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="swinir",
        label="SwinIR",
        summary="SwinIR, through spandrel's classes",
        prompting="none",
        objective="L1",
        source="Liang et al., ICCVW 2021; JingyunLiang/SwinIR",
        build="methods.baselines.swinir.network:build",
        options=SwinIROptions,
        check=check_swinir,
        has_decoder_levels=True,
        relative_cost=2.2,
        sizes={
            "tiny": {"dim": 16, "depths": (2, 2), "heads": 2, "window": 4, "output_gain": 0.1},
            "small": {
                "dim": 32,
                "depths": (2, 2, 2),
                "heads": 4,
                "drop_path": 0.0,
                "output_gain": 0.1,
            },
            "full": {},
        },
        licence="Apache-2.0",
    ),
)
