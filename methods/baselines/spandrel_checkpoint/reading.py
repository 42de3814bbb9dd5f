"""The digest of a checkpoint, and the comparison of its numbers with its network's."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from harness.method import OptionError


def require_digest(path: Path, sha256: str) -> None:
    """Refuse a file with another digest than ``sha256``, in hexadecimal.

    Raises:
        OptionError: the digests differ; the text has the file's own.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise OptionError(f"{path} has sha256={found}, not the digest that was asked for")


def require_kinds(path: Path, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Refuse numbers of another kind than the network's: integers or complex ones for floats.

    Raises:
        OptionError: names the tensor.
    """
    for name, value in own.items():
        found = state.get(name)
        if found is not None and value.is_floating_point() and not found.is_floating_point():
            kind = str(found.dtype).removeprefix("torch.")
            raise OptionError(f"{path}: {name} is {kind}, and the network has floats there")
