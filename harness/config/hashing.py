"""Identity by content: the canonical JSON of a schema, its hash, and the hash of a file."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

from harness.config.errors import HarnessError
from harness.config.spec import Spec

_ID_DIGITS = 16


def canonical_json(spec: Spec) -> str:
    """Return the one JSON text of ``spec``: sorted keys, no spaces, every default written."""
    return json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def spec_hash(spec: Spec) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:_ID_DIGITS]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hexadecimal digits.

    Raises:
        HarnessError: the file cannot be read; the message names it.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise HarnessError(f"{path} is a pipe or a device, which may never end; name a file")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = error.strerror or error
        raise HarnessError(
            f"{path} cannot be read: {reason}; check the path and its permissions"
        ) from error
