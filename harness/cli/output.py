"""Printing that never fails a command: closed pipes, poor encodings, no terminal at all."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import Any

from harness.config.errors import printable


class _Patient(TextIOWrapper):
    """A stream whose reader may leave: what is written after that goes nowhere.

    Characters that the encoding lacks become ``?``.
    """

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._lead_nowhere()
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._lead_nowhere()
            super().flush()

    def _lead_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def make_output_patient() -> None:
    """Let nothing that happens to the terminal or a pipe fail what is being done."""
    sys.stdout = _patient(sys.stdout)
    sys.stderr = _patient(sys.stderr)


def _patient(stream: Any) -> Any:
    if stream is None:  # it was closed before we began
        return Path(os.devnull).open("w", encoding="utf-8")
    if type(stream) is not TextIOWrapper:  # a test or a notebook catches what is printed
        return stream
    try:
        number = stream.fileno()
        stream.flush()
    except (OSError, ValueError):
        return stream
    return _Patient(
        BufferedWriter(FileIO(number, "w", closefd=False)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
    )


def terminal_width() -> int:
    """Return the characters of a line; 80 where nobody says."""
    return max(40, shutil.get_terminal_size().columns)


def has_colours() -> bool:
    """Return whether output goes to a terminal."""
    return sys.stdout.isatty()


def print_written(paths: Sequence[Path]) -> None:
    """Print which files were written, one on a line below their folders."""
    by_folder: dict[Path, list[str]] = {}
    for path in paths:
        by_folder.setdefault(path.parent, []).append(path.name)
    for folder, names in by_folder.items():
        print(printable(f"\nwritten to {folder}:"))
        for name in names:
            print(printable(f"  {name}"))


def print_warnings(warnings: Sequence[str]) -> None:
    """Print what a reader must know before using numbers, to stderr."""
    for warning in dict.fromkeys(warnings):
        print(printable(f"warning: {warning}"), file=sys.stderr)
