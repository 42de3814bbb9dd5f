"""Files of weights as far as they can be known without a network: hash and metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from harness.config.errors import HarnessError, UsageError


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"checkpoint {path} cannot be read: {error.strerror or error}") from error


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
