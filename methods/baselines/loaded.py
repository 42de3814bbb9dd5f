"""A checkpoint of any single-image architecture that spandrel knows, as a method.

Files are read as tensors only: safetensors, or ``torch.load(weights_only=True)``, which refuses
everything but plain containers and tensors. Of spandrel (chaiNNer-org/spandrel), which has an
unpickler of its own, only what starts from a state dict is used.
"""

from __future__ import annotations

import difflib
import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from spandrel import MAIN_REGISTRY, ArchRegistry, ImageModelDescriptor, canonicalize_state_dict
from torch import Tensor, nn

from harness.method import Batch, OptionError
from methods.baselines.options import INSTALL_EXTRA, extra_installed

_PREFIXES = ("module.", "net.")
_PROMPTS = "prompt1.prompt_param"


class Loaded(nn.Module):
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
        repetition), crops the result and clamps it. It takes one image at a time.
        """
        return torch.cat([self._descriptor(image) for image in degraded.split(1)])

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Raise: a loaded network is run as it is."""
        raise NotImplementedError("a checkpoint that spandrel loaded is not trained")


def load_spandrel(path: Path, architecture: str | None = None, sha256: str | None = None) -> Loaded:
    """Load the network of a checkpoint.

    Args:
        path: ``.safetensors``, or what ``torch.save`` wrote.
        architecture: spandrel's name of it; None recognises it by the names of the tensors.
        sha256: hexadecimal digest that the file must have; None takes any.

    Raises:
        OptionError: the file is not the one asked for, holds anything but tensors, or holds no
            network that maps one RGB image to one of the same size.
    """
    if sha256 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256.lower():
            raise OptionError(f"{path} has sha256={found}, not the digest that was asked for")
    registry = _registry()
    name = None if architecture is None else _known(architecture, registry)
    state = _state(path)
    recognised = _recognised(state, registry)
    if name is None:
        name = _unnamed(path, state, recognised)
    elif not registry[name].detect(dict(state)):
        instead = f"; spandrel takes it for a {recognised}" if recognised else ""
        raise OptionError(f"{path} does not have the keys of a {name}{instead}")
    try:
        descriptor = registry[name].architecture.load(dict(state))
    except (RuntimeError, LookupError, ValueError, TypeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise OptionError(
            f"{path} does not hold the tensors of a {name} ({type(error).__name__}: {reason})"
        ) from error
    _refuse_other_kinds(path, name, descriptor)
    return Loaded(descriptor)


def _registry() -> ArchRegistry:
    """Return spandrel's architectures and, where installed, those of its optional package."""
    registry = MAIN_REGISTRY.copy()
    if extra_installed():
        from spandrel_extra_arches import EXTRA_REGISTRY

        registry.add(*EXTRA_REGISTRY, ignore_duplicates=True)
    return registry


def _known(asked: str, registry: ArchRegistry) -> str:
    """Return spandrel's spelling of an architecture's name."""
    names = {str(one.architecture.id).lower(): str(one.architecture.id) for one in registry}
    if asked.lower() in names:
        return names[asked.lower()]
    near = difflib.get_close_matches(asked.lower(), names, n=3, cutoff=0.5)
    said = " or ".join(f"'{names[one]}'" for one in near)
    said = f"did you mean {said}?" if near else "known are " + ", ".join(sorted(names.values()))
    raise OptionError(f"architecture={asked} is none that spandrel knows; {said}{_more()}")


def _more() -> str:
    return "" if extra_installed() else f"; more come with `{INSTALL_EXTRA}`"


def _state(path: Path) -> Mapping[str, Tensor]:
    """Read a file's state dict; of several in one file, the EMA weights are taken."""
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise OptionError(f"{path} is not a safetensors file ({error})") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise OptionError(
            f"{path} cannot be read as tensors alone, and other objects are never unpickled; "
            "save the state dict by itself, with torch.save or as safetensors"
        ) from error
    state = canonicalize_state_dict(content) if isinstance(content, dict) else {}
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise OptionError(f"{path} holds no state dict: tensors under their names and no more")
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _recognised(state: Mapping[str, Tensor], registry: ArchRegistry) -> str | None:
    """Return the name of the architecture that has the keys of ``state``, if there is one."""
    for one in registry.architectures("detection"):
        if one.detect(dict(state)):
            return str(one.architecture.id)
    return None


def _unnamed(path: Path, state: Mapping[str, Tensor], recognised: str | None) -> str:
    """Return what was recognised, where that can be trusted."""
    if any(key.endswith(_PROMPTS) for key in state):
        raise OptionError(
            f"{path} holds prompts ({_PROMPTS}), so it is a PromptIR or one of its relatives, "
            "which spandrel would take for a Restormer; run it as promptir or cpl"
        )
    if recognised is None:
        raise OptionError(
            f"{path} has the keys of no architecture that spandrel knows, such as "
            f"'{next(iter(state))}'{_more()}"
        )
    return recognised


def _refuse_other_kinds(path: Path, name: str, descriptor: object) -> None:
    """Refuse networks that do not map one RGB image to one of the same size."""
    if not isinstance(descriptor, ImageModelDescriptor):
        raise OptionError(f"{path}: {name} needs a mask beside the image, so it fills in holes")
    if descriptor.scale != 1:
        raise OptionError(f"{path}: this {name} enlarges images {descriptor.scale} times")
    channels = descriptor.input_channels, descriptor.output_channels
    if channels != (3, 3):
        kind = "grey images" if channels == (1, 1) else "other than RGB images"
        raise OptionError(
            f"{path}: this {name} is for {kind} ({channels[0]} channels in, {channels[1]} out)"
        )
