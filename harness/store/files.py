"""Atomic files: written beside their place, flushed, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from harness.config.errors import HarnessError


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let ``write`` fill a temporary file and put it in the place of ``path``.

    A process killed at any moment leaves the old file or the new one, never half of one.

    Raises:
        HarnessError: the file cannot be written; the message names it and the reason.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise HarnessError(
            f"{path} cannot be written: {error.strerror or error}; free or choose another "
            "folder with --out"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""

    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    write_atomically(path, write)


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, atomically."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; raise :class:`HarnessError` naming the file if it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise HarnessError(
            f"{path} cannot be read ({error}); move it away and run again"
        ) from error


def check_writable(folder: Path) -> None:
    """Refuse an output folder that cannot be written, before anything is computed."""
    probe = folder / f".probe-{os.getpid()}"
    write_text(probe, "")
    probe.unlink()
