"""The options of a checkpoint, their check, and its spec. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.method import CheckContext, MethodSpec, OptionError


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions:
    """A checkpoint of an architecture that spandrel knows.

    Attributes:
        checkpoint: path of the file.
        entry: where in the file the weights are, such as ``params_ema``; None takes ``params``
            before ``params_ema``, as for all checkpoints.
        prefix: start of the names that are the network's, as ``generator.``.
        ignore: names in the file that are not read, or patterns of them.
        architecture: spandrel's name of the architecture; None recognises it by its keys.
        sha256: hexadecimal digest of the file. Results are stored under the options, so
            without the digest a replaced file passes for the one that was scored.
    """

    checkpoint: Path | None = None
    entry: str | None = None
    prefix: str | None = None
    ignore: tuple[str, ...] = ()
    architecture: str | None = None
    sha256: str | None = None


def check_checkpoint(options: CheckpointOptions, context: CheckContext) -> None:
    """Refuse options that name no file.

    Raises:
        OptionError: no file is named, or it does not exist.
    """
    checkpoint_path(options)


def checkpoint_path(options: CheckpointOptions) -> Path:
    """Return the checkpoint's path.

    Raises:
        OptionError: no file is named, or it does not exist.
    """
    if not options.checkpoint:
        raise OptionError("spandrel runs the network of a file; name it with checkpoint=FILE")
    path = options.checkpoint
    if path.is_dir():
        raise OptionError(f"checkpoint={path} is a folder; name the file of weights in it")
    if not path.is_file():
        raise OptionError(f"checkpoint={path}: there is no such file")
    return path


SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="spandrel",
        label="Checkpoint",
        summary="a checkpoint of any single-image architecture that spandrel knows",
        prompting="none",
        objective="none",
        source="chaiNNer-org/spandrel",
        build="methods.baselines.spandrel_checkpoint.network:build",
        options=CheckpointOptions,
        check=check_checkpoint,
        trained=False,
        needs_file=True,
        relative_cost=0.0,
        licence="that of the checkpoint",
    ),
)
