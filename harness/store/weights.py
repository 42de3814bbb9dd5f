"""Files of weights as far as they can be known without a network: their metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from harness.config.errors import HarnessError
from harness.store.files import write_atomically

_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header, a little-endian number."""


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return the text that a safetensors file carries; nothing for other files.

    Raises:
        HarnessError: the file calls itself safetensors and is damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise HarnessError(f"checkpoint {path} is no readable safetensors file: {error}") from error


def copy_weights(
    source: Path, target: Path, metadata: Mapping[str, str], rename: Callable[[str], str]
) -> None:
    """Copy a safetensors file with other metadata and tensor names; values stay byte for byte.

    Raises:
        HarnessError: the source is damaged, or the target cannot be written.
    """
    content = source.read_bytes()
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    data_start = _LENGTH_BYTES + length
    try:
        header: dict[str, Any] = json.loads(content[_LENGTH_BYTES:data_start])
    except ValueError as error:
        raise HarnessError(f"{source} is no readable safetensors file: {error}") from error
    header.pop("__metadata__", None)
    renamed: dict[str, Any] = {"__metadata__": dict(metadata)}
    for name, place in header.items():
        renamed[rename(name)] = place
    text = json.dumps(renamed).encode()
    # The data begin at a multiple of eight bytes.
    text += b" " * (-len(text) % _LENGTH_BYTES)

    def write(file: BinaryIO) -> None:
        file.write(len(text).to_bytes(_LENGTH_BYTES, "little"))
        file.write(text)
        file.write(content[data_start:])

    write_atomically(target, write)
