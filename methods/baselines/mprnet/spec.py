"""MPRNet's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.method import CheckContext, MethodSpec
from methods.baselines.checks import require_at_least
from methods.baselines.extra_package import (
    EXTRA_LICENCE,
    EXTRA_PACKAGE,
    INSTALL_EXTRA,
    require_extra,
)


@dataclass(frozen=True, kw_only=True)
class MPRNetOptions:
    """Size and loss of an MPRNet.

    The defaults are swz30/MPRNet, Denoising/MPRNet.py, the 15.74 M parameters of all-in-one
    tables; its deblurring network has ``dim=96``, its deraining network ``dim=40``,
    ``unet_growth=20`` and ``final_growth=16``.

    Attributes:
        dim: channels of the first level.
        unet_growth: channels that each of the two lower levels of the U-Nets adds.
        final_growth: channels that the last stage, at full resolution, adds.
        blocks: channel attention blocks of each of the last stage's three groups.
        edge_weight: weight of the edge loss; 0.05 in deraining and deblurring, 0 in denoising.
        output_gain: scales the initial weights of the last convolution of each stage, as in
            NAFNet.
    """

    dim: int = 80
    unet_growth: int = 48
    final_growth: int = 32
    blocks: int = 8
    edge_weight: float = 0.05
    output_gain: float = 1.0


def check_mprnet(options: MPRNetOptions, context: CheckContext) -> None:
    """Refuse a machine without the optional package, and too few channels.

    Raises:
        OptionError: the package is not installed, or an option cannot have its value; the text
            names what is wrong.
    """
    require_extra("MPRNet")
    require_at_least(4, dim=options.dim)  # its channel attention has a quarter of the channels
    require_at_least(1, blocks=options.blocks)
    require_at_least(
        0,
        unet_growth=options.unet_growth,
        final_growth=options.final_growth,
        edge_weight=options.edge_weight,
    )


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="mprnet",
        label="MPRNet",
        summary="MPRNet, through spandrel's classes",
        prompting="none",
        objective="Charbonnier + edge, of three stages",
        source="Zamir et al., CVPR 2021; swz30/MPRNet",
        build="methods.baselines.mprnet.network:build",
        options=MPRNetOptions,
        check=check_mprnet,
        relative_cost=1.9,
        sizes={
            "tiny": {
                "dim": 8,
                "unet_growth": 4,
                "final_growth": 4,
                "blocks": 1,
                "output_gain": 0.1,
            },
            "small": {
                "dim": 16,
                "unet_growth": 8,
                "final_growth": 8,
                "blocks": 2,
                "output_gain": 0.1,
            },
            "full": {},
        },
        licence=EXTRA_LICENCE,
        needs_package=EXTRA_PACKAGE,
        install=INSTALL_EXTRA,
    ),
)
