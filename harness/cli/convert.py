"""``harness convert``: an author's checkpoint as a safetensors file that says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    Plugins,
    SettingName,
    WeightsEntry,
    WeightsIgnored,
    WeightsPrefix,
)
from harness.config.errors import printable


@dataclass(frozen=True)
class ConversionFlags:
    """What is converted."""

    checkpoint: Annotated[Path, typer.Option(help="Weights: .pth, .ckpt, .pt, .safetensors.")]
    to: Annotated[Path, typer.Option(help="File to write, .safetensors.")]
    method: Annotated[
        str | None,
        typer.Option(help="Method that they are weights of; files of this project know it."),
    ] = None
    entry: WeightsEntry = None
    prefix: WeightsPrefix = None
    ignore: WeightsIgnored = None
    size: Annotated[str, typer.Option(help="Size of the network.")] = "full"


def convert(
    conversion: ConversionFlags, setting: SettingName = "three-task", plugin: Plugins = None
) -> None:
    """Write weights as safetensors with method, options and the hash of their source.

    Names and shapes are compared with the method's network first, as ``evaluate`` does.
    """
    from harness.api import Conversion, convert_checkpoint, use_plugins

    use_plugins(plugin or [])
    done = convert_checkpoint(
        Conversion(
            checkpoint=conversion.checkpoint,
            to=conversion.to,
            method=conversion.method,
            entry=conversion.entry,
            prefix=conversion.prefix,
            ignore=tuple(conversion.ignore or ()),
            size=conversion.size,
            setting=setting,
        )
    )
    print(done.read)
    print(printable(f"{conversion.to}: {done.tensors} tensors of {done.method}"))
