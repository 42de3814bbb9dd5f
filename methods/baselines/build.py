"""From options to networks; spandrel, and the optional package beside it, are imported here."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.method import BuildContext
from methods.baselines.options import checkpoint_path, require_extra

if TYPE_CHECKING:
    from methods.baselines.loaded import Loaded
    from methods.baselines.mirnetv2 import MIRNetV2
    from methods.baselines.mprnet import MPRNet
    from methods.baselines.nafnet import NAFNet
    from methods.baselines.swinir import SwinIR
    from methods.baselines.uformer import Uformer


@contextmanager
def _importing_spandrel() -> Iterator[None]:
    """Hide the warning that one of spandrel's networks gives when all are imported."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
        yield


def nafnet(context: BuildContext) -> NAFNet:
    """Build from ``NAFNetOptions``."""
    with _importing_spandrel():
        from methods.baselines.nafnet import NAFNet

    return NAFNet(context.options)


def swinir(context: BuildContext) -> SwinIR:
    """Build from ``SwinIROptions``."""
    with _importing_spandrel():
        from methods.baselines.swinir import SwinIR

    return SwinIR(context.options)


def uformer(context: BuildContext) -> Uformer:
    """Build from ``UformerOptions``."""
    with _importing_spandrel():
        from methods.baselines.uformer import Uformer

    return Uformer(context.options)


def mprnet(context: BuildContext) -> MPRNet:
    """Build from ``MPRNetOptions``.

    Raises:
        OptionError: the optional package is not installed.
    """
    require_extra("MPRNet")
    with _importing_spandrel():
        from methods.baselines.mprnet import MPRNet

    return MPRNet(context.options)


def mirnetv2(context: BuildContext) -> MIRNetV2:
    """Build from ``MIRNetV2Options``.

    Raises:
        OptionError: the optional package is not installed.
    """
    require_extra("MIRNetV2")
    with _importing_spandrel():
        from methods.baselines.mirnetv2 import MIRNetV2

    return MIRNetV2(context.options)


def spandrel(context: BuildContext) -> Loaded:
    """Build from ``LoadedOptions``.

    Raises:
        OptionError: no file is named, or it holds no network that can be run here.
    """
    options = context.options
    path = checkpoint_path(options)
    with _importing_spandrel():
        from methods.baselines.loaded import load_spandrel

    return load_spandrel(path, options.architecture, options.sha256)
