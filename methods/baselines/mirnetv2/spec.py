"""MIRNetV2's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.method import CheckContext, MethodSpec, OptionError
from methods.baselines.checks import require_at_least
from methods.baselines.extra_package import (
    EXTRA_LICENCE,
    EXTRA_PACKAGE,
    INSTALL_EXTRA,
    require_extra,
)


@dataclass(frozen=True, kw_only=True)
class MIRNetV2Options:
    """Size of a MIRNetV2.

    The defaults are swz30/MIRNetv2, Real_Denoising/Options/RealDenoising_MIRNet_v2.yml, the 5.86 M
    parameters of all-in-one tables. Its four residual groups and the growth of channels by 1.5 per
    level are fixed.

    Attributes:
        dim: channels at full resolution, a multiple of 16.
        blocks: multi-scale blocks of each of the four groups.
        output_gain: scales the initial weights of the last convolution, as in NAFNet.
    """

    dim: int = 80
    blocks: int = 2
    output_gain: float = 1.0


def check_mirnetv2(options: MIRNetV2Options, context: CheckContext) -> None:
    """Refuse a machine without the optional package, and widths that do not fit its groups.

    Raises:
        OptionError: the package is not installed, or an option cannot have its value; the text
            names what is wrong.
    """
    require_extra("MIRNetV2")
    require_at_least(1, dim=options.dim, blocks=options.blocks)
    if options.dim % 16:
        raise OptionError(
            f"dim={options.dim} must be a multiple of 16: its levels have 1, 1.5 and 2.25 times "
            "as many channels, which convolutions of four groups divide"
        )


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="mirnetv2",
        label="MIRNetV2",
        summary="MIRNetV2, through spandrel's classes",
        prompting="none",
        objective="L1",
        source="Zamir et al., TPAMI 2022; swz30/MIRNetv2",
        build="methods.baselines.mirnetv2.network:build",
        options=MIRNetV2Options,
        check=check_mirnetv2,
        relative_cost=1.4,
        sizes={
            "tiny": {"dim": 16, "blocks": 1, "output_gain": 0.1},
            "small": {"dim": 16, "blocks": 1, "output_gain": 0.1},
            "full": {},
        },
        licence=EXTRA_LICENCE,
        needs_package=EXTRA_PACKAGE,
        install=INSTALL_EXTRA,
    ),
)
