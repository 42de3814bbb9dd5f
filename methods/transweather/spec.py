"""TransWeather's options, their checks, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.method import CheckContext, MethodSpec, OptionError

PATCH_HEADS = (1, 2, 2)
"""Attention heads of the branch of smaller patches, at its three levels."""


@dataclass(frozen=True, kw_only=True)
class TransWeatherOptions:
    """TransWeather: published values are the defaults.

    Attributes:
        widths: channels of the encoder's four stages, at 1/4 to 1/32 of the sides.
        heads: attention heads of the four stages.
        depths: blocks of the four stages.
        decoder_depth: blocks of the decoder, at 1/64 of the sides.
        decoder_heads: attention heads of the decoder.
        queries: learned weather queries of each block of the decoder.
        tail: channels of the last two stages, at a half and at all of the sides.
        drop_path: share of samples for which the encoder's last block is left out in training;
            it rises from zero at the first block.
        perceptual_weight: weight of the mean squared error of VGG16's features, which need a file
            of weights; 0 leaves them out, as the sizes below ``full`` do.
    """

    widths: tuple[int, int, int, int] = (64, 128, 320, 512)
    heads: tuple[int, int, int, int] = (1, 2, 4, 4)
    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    decoder_depth: int = 3
    decoder_heads: int = 8
    queries: int = 48
    tail: tuple[int, int] = (16, 8)
    drop_path: float = 0.1
    perceptual_weight: float = 0.04


def check_transweather(options: TransWeatherOptions, context: CheckContext) -> None:
    """Refuse sizes at which the network cannot be built, and shares and weights out of range.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    for name in ("widths", "heads", "depths", "tail"):
        if min(getattr(options, name)) < 1:
            raise OptionError(f"{name}={getattr(options, name)} must be at least 1 everywhere")
    for name in ("decoder_depth", "decoder_heads", "queries"):
        if getattr(options, name) < 1:
            raise OptionError(f"{name}={getattr(options, name)} must be at least 1")
    _check_heads(options)
    if not 0 <= options.drop_path < 1:
        raise OptionError(f"drop_path={options.drop_path} must lie in [0, 1)")
    if options.perceptual_weight < 0:
        raise OptionError(
            f"perceptual_weight={options.perceptual_weight} must not be negative; 0 leaves the "
            "term out"
        )


def _check_heads(options: TransWeatherOptions) -> None:
    """Refuse heads that do not divide their channels.

    Raises:
        OptionError: the text names both.
    """
    widths = options.widths
    pairs = [*zip(widths, options.heads, strict=True), *zip(widths[1:], PATCH_HEADS, strict=True)]
    for width, heads in [*pairs, (widths[3], options.decoder_heads)]:
        if width % heads:
            raise OptionError(
                f"widths={widths} has {width} channels, which {heads} heads do not divide; change "
                "widths, heads or decoder_heads"
            )


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="transweather",
        label="TransWeather",
        summary="TransWeather as published: a decoder with learned weather queries",
        prompting="none",
        objective="smooth L1 + 0.04 VGG16 features",
        source="Valanarasu et al., CVPR 2022; jeya-maria-jose/TransWeather",
        build="methods.transweather.network:build",
        options=TransWeatherOptions,
        sizes={
            "tiny": {
                "widths": (8, 12, 16, 16),
                "depths": (1, 1, 1, 1),
                "decoder_depth": 1,
                "decoder_heads": 2,
                "queries": 8,
                "tail": (8, 8),
                "perceptual_weight": 0.0,
            },
            "small": {
                "widths": (32, 48, 64, 96),
                "depths": (1, 1, 1, 1),
                "decoder_depth": 1,
                "tail": (16, 16),
                "perceptual_weight": 0.0,
            },
            "full": {},
        },
        check=check_transweather,
        relative_cost=0.15,
        licence="MIT",
    ),
)
