"""``harness evaluate``: score weights that were not trained by this command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.computing import compute_and_show
from harness.cli.flags import named_values
from harness.cli.keeping_flags import ComputingFlags
from harness.cli.options import (
    DataFlags,
    EvaluationFlags,
    ResourceFlags,
    SettingFlags,
    WeightsEntry,
    WeightsIgnored,
    WeightsPrefix,
)
from harness.cli.requests import plan_of, request_of


@dataclass(frozen=True)
class CheckpointFlags:
    """Which weights are scored, and what they are weights of."""

    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights: .safetensors, .pth, .ckpt, .pt.")
    ] = None
    method: Annotated[
        str | None,
        typer.Option(help="Method that they are weights of; files of this project know it."),
    ] = None
    spandrel: Annotated[
        Path | None, typer.Option(help="Weights of any single-image network that spandrel knows.")
    ] = None
    architecture: Annotated[
        str | None, typer.Option(help="With --spandrel: its name for the network, as NAFNet.")
    ] = None
    entry: WeightsEntry = None
    prefix: WeightsPrefix = None
    ignore: WeightsIgnored = None
    required: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: weights of a method that this one builds on."),
    ] = None
    prompt_maps: Annotated[
        Path | None,
        typer.Option(help="The fixed maps of --method mioir-ep (.npy), which checkpoints lack."),
    ] = None

    def values(self) -> dict[str, Any]:
        """Return the checkpoint's part of the request.

        Raises:
            UsageError: no file is named, or two are, or flags contradict each other.
        """
        from harness.config.errors import UsageError

        if (self.checkpoint is None) == (self.spandrel is None):
            raise UsageError("give one file of weights: --checkpoint FILE or --spandrel FILE")
        if self.spandrel is not None:
            self._check_spandrel()
            asked = {"file": self.spandrel, "method": "spandrel", **self._parts()}
            return {"checkpoint": {**asked, "architecture": self.architecture}}
        if self.architecture is not None:
            raise UsageError("--architecture names a network of --spandrel; use --method here")
        required = named_values(self.required or [], "--required", "NAME=FILE")
        asked = {"file": self.checkpoint, "method": self._method(), **self._parts()}
        return {"checkpoint": {**asked, "required": required}}

    def _check_spandrel(self) -> None:
        """Refuse flags of methods that have a name here."""
        from harness.config.errors import UsageError

        given = {
            "--method": self.method,
            "--required": self.required,
            "--prompt-maps": self.prompt_maps,
        }
        for flag, value in given.items():
            if value:
                raise UsageError(
                    f"--spandrel {self.spandrel} recognises the network itself and does not read "
                    f"{flag}; leave it out, or name the file with --checkpoint"
                )

    def _parts(self) -> dict[str, Any]:
        return {"entry": self.entry, "prefix": self.prefix, "ignore": tuple(self.ignore or ())}

    def _method(self) -> str | None:
        from harness.config.errors import UsageError

        if self.prompt_maps is None:
            return self.method
        if self.method is None:
            raise UsageError("--prompt-maps are those of --method mioir-ep; name it")
        return f"{self.method}:prompt_maps='{self.prompt_maps}'"


def evaluate(
    checkpoint: CheckpointFlags,
    request: SettingFlags,
    data: DataFlags,
    evaluation: EvaluationFlags,
    resources: ResourceFlags,
    computing: ComputingFlags,
) -> None:
    """Score weights from a file: an author's release, or a run's own.

    The network is built at the published size (recipe paper) and under the options that its
    authors' weights need; a file that this project wrote says itself what it holds.
    """
    asked = request_of(
        {"recipe": "paper"},
        request.config,
        request.values(),
        data.values(),
        evaluation.values(),
        computing.values(),
        checkpoint.values(),
    )
    compute_and_show(plan_of(asked), resources, computing.dry_run)
