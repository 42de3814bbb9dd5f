"""Checkpoint files, read as tensors only.

Files are safetensors, or what ``torch.load(weights_only=True)`` reads, which refuses everything
but plain containers and tensors. Spandrel has an unpickler of its own, which is not used.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from harness.method import OptionError
from methods.baselines.spandrel_classes import canonicalize_state_dict

_PREFIXES = ("module.", "net.")


def require_digest(path: Path, sha256: str) -> None:
    """Refuse a file with another digest than ``sha256``, in hexadecimal.

    Raises:
        OptionError: the digests differ; the text has the file's own.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise OptionError(f"{path} has sha256={found}, not the digest that was asked for")


def read_state_dict(path: Path) -> Mapping[str, Tensor]:
    """Read the state dict of a file, without wrapping prefixes (``module.``, ``net.``).

    Of several state dicts in one file, the EMA weights are returned, as spandrel does.

    Raises:
        OptionError: the file cannot be read as tensors, or holds no state dict.
    """
    content = _read_content(path)
    state = canonicalize_state_dict(content) if isinstance(content, dict) else {}
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise OptionError(f"{path} holds no state dict: tensors under their names and no more")
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _read_content(path: Path) -> Any:
    """Return the containers and tensors that a file holds."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise OptionError(f"{path} is not a safetensors file ({error})") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise OptionError(
            f"{path} cannot be read as tensors alone, and other objects are never unpickled; "
            "save the state dict by itself, with torch.save or as safetensors"
        ) from error
