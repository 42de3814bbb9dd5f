"""AdaIR's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.method import CheckContext, MethodSpec, OptionError
from methods.restormer.spec import LEVELS, RESTORMER_SIZES, RestormerOptions, check_restormer

_LEAST_DIM = 8  # the channel gate of the highest level has 2 dim / 16 hidden channels


@dataclass(frozen=True, kw_only=True)
class AdaIROptions(RestormerOptions):
    """AdaIR: a Restormer and three frequency blocks in its decoder; published values.

    Attributes:
        frequency_unit_px: the half-side of the low-frequency rectangle is at most as many pixels
            as the feature map's side has whole multiples of this number. With the published
            128 the rectangle is empty wherever a side of the feature map is below 128, which
            is at every level of a training on 128-pixel patches.
    """

    frequency_unit_px: int = 128


def check_adair(options: AdaIROptions, context: CheckContext) -> None:
    """Refuse sizes at which a frequency block cannot be built.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    check_restormer(options, context)
    if options.dim < _LEAST_DIM:
        raise OptionError(
            f"dim={options.dim} leaves the channel gates no hidden channel; use at least "
            f"{_LEAST_DIM}"
        )
    # All three frequency blocks have the third level's heads; the narrowest has 2 dim channels.
    if 2 * options.dim % options.heads[2]:
        raise OptionError(
            f"dim={options.dim} gives {2 * options.dim} channels in the last frequency block, "
            f"which its {options.heads[2]} heads, the third of heads, do not divide"
        )
    if options.frequency_unit_px < 1:
        raise OptionError(f"frequency_unit_px={options.frequency_unit_px} must be at least 1")


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="adair",
        label="AdaIR",
        summary="AdaIR as published: frequency blocks modulate the decoder's features",
        prompting="none",
        objective="L1",
        source="Cui et al., ICLR 2025; c-yn/AdaIR",
        build="methods.adair.network:build",
        options=AdaIROptions,
        sizes=RESTORMER_SIZES,
        check=check_adair,
        insertion_points=LEVELS,
        fusion_points=LEVELS,
        has_decoder_levels=True,
        relative_cost=1.0,
        licence="MIT",
    ),
)
