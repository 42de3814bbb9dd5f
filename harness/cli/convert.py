"""``harness convert``: an author's checkpoint as a safetensors file that says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Plugins, SettingName


@dataclass(frozen=True)
class ConversionFlags:
    """What is converted."""

    checkpoint: Annotated[Path, typer.Option(help="Weights: .pth, .ckpt, .pt, .safetensors.")]
    to: Annotated[Path, typer.Option(help="File to write, .safetensors.")]
    method: Annotated[str, typer.Option(help="Method that they are weights of.")]
    entry: Annotated[
        str | None, typer.Option(help="Where the weights are in the file, as params_ema.")
    ] = None
    size: Annotated[str, typer.Option(help="Size of the network.")] = "full"


def convert(
    conversion: ConversionFlags, setting: SettingName = "three-task", plugin: Plugins = None
) -> None:
    """Write weights as safetensors with method, options and the hash of their source.

    Names and shapes are compared with the method's network first, as ``evaluate`` does.
    """
    from harness.api import Conversion, convert_checkpoint, use_plugins

    use_plugins(plugin or [])
    tensors = convert_checkpoint(
        Conversion(
            checkpoint=conversion.checkpoint,
            to=conversion.to,
            method=conversion.method,
            entry=conversion.entry,
            size=conversion.size,
            setting=setting,
        )
    )
    print(
        f"{conversion.to}: {tensors} tensors of {conversion.method}, from {conversion.checkpoint}"
    )
