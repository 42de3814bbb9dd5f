"""Options of the general baselines, and what is refused. Imports no torch.

``full`` is the size that the all-in-one literature compares with, which its tables give as
17.11 M parameters for NAFNet, 15.74 M for MPRNet, 5.86 M for MIRNetV2 and 50.88 M for Uformer.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from harness.method import CheckContext, OptionError

INSTALL_EXTRA = "pip install restoration-harness[noncommercial]"
EXTRA_PACKAGE = "spandrel_extra_arches"

NAFNET_PLACES = ("level4", "level3", "level2", "level1")
"""Where prompts go into NAFNet, from the deepest up: level k works at 1/2^k of the image."""


@dataclass(frozen=True, kw_only=True)
class NAFNetOptions:
    """Size of a NAFNet.

    The defaults are megvii-research/NAFNet, options/train/GoPro/NAFNet-width32.yml; its SIDD
    networks have ``encoder_blocks=2,2,4,8``, ``middle_blocks=12`` and ``decoder_blocks=2,2,2,2``.

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


@dataclass(frozen=True, kw_only=True)
class UformerOptions:
    """Size of a Uformer with modulators.

    The defaults are Uformer-B: ZhendongWang6/Uformer, utils/model_utils.py (``Uformer_B``).

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


@dataclass(frozen=True, kw_only=True)
class MPRNetOptions:
    """Size and loss of an MPRNet.

    The defaults are swz30/MPRNet, Denoising/MPRNet.py; its deblurring network has ``dim=96``,
    its deraining network ``dim=40``, ``unet_growth=20`` and ``final_growth=16``.

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


@dataclass(frozen=True, kw_only=True)
class MIRNetV2Options:
    """Size of a MIRNetV2.

    The defaults are swz30/MIRNetv2, Real_Denoising/Options/RealDenoising_MIRNet_v2.yml. Its four
    residual groups and the growth of channels by 1.5 per level are fixed.

    Attributes:
        dim: channels at full resolution, a multiple of 16.
        blocks: multi-scale blocks of each of the four groups.
        output_gain: scales the initial weights of the last convolution, as in NAFNet.
    """

    dim: int = 80
    blocks: int = 2
    output_gain: float = 1.0


@dataclass(frozen=True, kw_only=True)
class LoadedOptions:
    """A checkpoint of an architecture that spandrel knows.

    Attributes:
        checkpoint: path of the file.
        architecture: spandrel's name of the architecture; None recognises it by its keys.
        sha256: hexadecimal digest of the file. What is computed is stored under the options, so
            without the digest a file that was replaced passes for the one that was scored.
    """

    checkpoint: str | None = None
    architecture: str | None = None
    sha256: str | None = None


def extra_installed() -> bool:
    """Return whether the optional package is there; it is not imported."""
    return importlib.util.find_spec(EXTRA_PACKAGE) is not None


def require_extra(name: str) -> None:
    """Make sure that the optional package, which ``name`` needs, is there.

    Raises:
        OptionError: it is not installed; the text has the command.
    """
    if not extra_installed():
        raise OptionError(
            f"{name} comes with an optional package, for its non-commercial licence; "
            f"install it with `{INSTALL_EXTRA}`"
        )


def _at_least(least: float, **values: float) -> None:
    for name, value in values.items():
        if value < least:
            raise OptionError(f"{name}={value} must be at least {least}")


def _at_least_one_each(**values: tuple[int, ...]) -> None:
    for name, value in values.items():
        if not value or min(value) < 1:
            raise OptionError(f"{name}={value} must have at least one block everywhere")


def _rate(drop_path: float) -> None:
    if not 0 <= drop_path < 1:
        raise OptionError(f"drop_path={drop_path} is a rate from 0 to below 1")


def check_nafnet(options: NAFNetOptions, context: CheckContext) -> None:
    """Refuse levels without blocks or channels.

    Raises:
        OptionError: names the option and the value that is in the way.
    """
    _at_least(1, width=options.width, middle_blocks=options.middle_blocks)
    _at_least_one_each(encoder_blocks=options.encoder_blocks, decoder_blocks=options.decoder_blocks)


def check_swinir(options: SwinIROptions, context: CheckContext) -> None:
    """Refuse widths that the heads do not divide, and windows that cannot be shifted.

    Raises:
        OptionError: names the option and the value that is in the way.
    """
    _at_least(1, dim=options.dim, heads=options.heads)
    _at_least(2, window=options.window)
    _at_least_one_each(depths=options.depths)
    _rate(options.drop_path)
    if options.dim % options.heads:
        raise OptionError(f"dim={options.dim} is no multiple of heads={options.heads}")


def check_uformer(options: UformerOptions, context: CheckContext) -> None:
    """Refuse levels without blocks or channels, and windows that cannot be shifted.

    Raises:
        OptionError: names the option and the value that is in the way.
    """
    _at_least(1, dim=options.dim)
    _at_least(2, window=options.window)
    _at_least_one_each(depths=options.depths)
    _rate(options.drop_path)


def check_mprnet(options: MPRNetOptions, context: CheckContext) -> None:
    """Refuse a machine without the optional package, and channels too few to be built.

    Raises:
        OptionError: names the option and the value that is in the way, or the package.
    """
    require_extra("MPRNet")
    _at_least(4, dim=options.dim)  # its channel attention keeps a quarter of the channels
    _at_least(1, blocks=options.blocks)
    _at_least(
        0,
        unet_growth=options.unet_growth,
        final_growth=options.final_growth,
        edge_weight=options.edge_weight,
    )


def check_mirnetv2(options: MIRNetV2Options, context: CheckContext) -> None:
    """Refuse a machine without the optional package, and widths that do not fit its groups.

    Raises:
        OptionError: names the option and the value that is in the way, or the package.
    """
    require_extra("MIRNetV2")
    _at_least(1, dim=options.dim, blocks=options.blocks)
    if options.dim % 16:
        raise OptionError(
            f"dim={options.dim} must be a multiple of 16: its levels have 1, 1.5 and 2.25 times "
            "as many channels, which convolutions of four groups divide"
        )


def check_loaded(options: LoadedOptions, context: CheckContext) -> None:
    """Refuse to go on without a file.

    Raises:
        OptionError: none is named, or there is none.
    """
    checkpoint_path(options)


def checkpoint_path(options: LoadedOptions) -> Path:
    """Return the checkpoint's path.

    Raises:
        OptionError: none is named, or there is no such file.
    """
    if not options.checkpoint:
        raise OptionError("spandrel runs the network of a file; name it with checkpoint=FILE")
    path = Path(options.checkpoint)
    if not path.is_file():
        raise OptionError(f"checkpoint={path}: there is no such file")
    return path
