"""The network of a checkpoint, of any single-image architecture that spandrel knows.

Architectures and their recognition are those of chaiNNer-org/spandrel, of which only what starts
from a state dict is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.method import Batch, BuildContext, OptionError, WeightsFile
from methods.baselines.spandrel_checkpoint.architectures import (
    architecture_of,
    known_architectures,
)
from methods.baselines.spandrel_checkpoint.reading import require_digest, require_kinds
from methods.baselines.spandrel_checkpoint.spec import checkpoint_path
from methods.baselines.spandrel_classes import ImageModelDescriptor


class SpandrelNetwork(nn.Module):
    """A network with its weights, run as spandrel runs it.

    Args:
        descriptor: spandrel's description of a network for RGB images of unchanged size.
    """

    def __init__(self, descriptor: ImageModelDescriptor[Any]) -> None:
        super().__init__()
        self.net = descriptor.model.requires_grad_(False).eval()
        self._descriptor = descriptor

    @property
    def architecture(self) -> str:
        """Return spandrel's name of the architecture."""
        return str(self._descriptor.architecture.id)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        """Map (N, 3, H, W) in [0, 1] of any size to restored images, clamped to [0, 1].

        Spandrel's call meets the network's size requirements by padding (reflection, then
        repetition), crops the result and clamps it. It restores one image at a time.
        """
        return torch.cat([self._descriptor(image) for image in degraded.split(1)])

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Raise ``NotImplementedError``: the network of a checkpoint is not trained."""
        raise NotImplementedError("a checkpoint that spandrel loaded is not trained")


Read = Callable[[WeightsFile], Mapping[str, Tensor]]
"""Reads a file of weights as tensors by name; :class:`~harness.method.BuildContext` has one."""

# Names of a DnCNN begin with "model." themselves.
_PREFIXES = (
    *("_orig_mod.", "module.", "_forward_module.", "net.", "net_g.", "netG."),
    *("generator.", "network."),
)


def load_spandrel(
    file: WeightsFile,
    read: Read,
    architecture: str | None = None,
    sha256: str | None = None,
) -> SpandrelNetwork:
    """Load the network of a checkpoint.

    Args:
        file: ``.safetensors``, or a file of ``torch.save``, and where in it the weights are.
        read: reads it.
        architecture: spandrel's name of it; None recognises it by the names of the tensors.
        sha256: hexadecimal digest that the file must have; None accepts any.

    Raises:
        OptionError: the file has another digest, or holds no network that maps one RGB image to
            one of the same size.
    """
    path = file.path
    if sha256 is not None:
        require_digest(path, sha256)
    registry = known_architectures()
    state = _without_prefixes(read(file))
    name = architecture_of(path, state, architecture, registry)
    try:
        descriptor = registry[name].architecture.load(dict(state))
    except (RuntimeError, LookupError, ValueError, TypeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise OptionError(
            f"{path} does not hold the tensors of a {name} ({type(error).__name__}: {reason})"
        ) from error
    _refuse_other_kinds(path, name, descriptor)
    require_kinds(path, state, descriptor.model.state_dict())
    return SpandrelNetwork(descriptor)


def _without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop prefixes of frameworks that all names have."""
    plain = dict(state)
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in plain):
            plain = {key.removeprefix(prefix): value for key, value in plain.items()}
    return plain


def _refuse_other_kinds(path: Path, name: str, descriptor: object) -> None:
    """Refuse networks that do not map one RGB image to one of the same size."""
    if not isinstance(descriptor, ImageModelDescriptor):
        raise OptionError(f"{path}: {name} needs a mask with the image, because it inpaints")
    if descriptor.scale != 1:
        raise OptionError(f"{path}: this {name} enlarges images {descriptor.scale} times")
    inputs, outputs = descriptor.input_channels, descriptor.output_channels
    if (inputs, outputs) != (3, 3):
        kind = "grey images" if (inputs, outputs) == (1, 1) else "other than RGB images"
        raise OptionError(
            f"{path}: this {name} is for {kind} ({inputs} channels in, {outputs} out)"
        )


def build(context: BuildContext) -> SpandrelNetwork:
    """Build from ``CheckpointOptions``.

    Raises:
        OptionError: no file is named, or it holds no network that can be run here.
    """
    options = context.options
    if context.read_weights is None:
        raise OptionError("spandrel needs the engine to read its file")
    file = WeightsFile(checkpoint_path(options), options.entry, options.prefix, options.ignore)
    return load_spandrel(file, context.read_weights, options.architecture, options.sha256)
