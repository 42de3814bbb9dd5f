"""Files that a kill or a full disk never leaves half written, and the names that they may have.

A file is written under a temporary name next to its target, flushed, then renamed. The temporary
name says which process of which machine writes, so that what a killed one left can be removed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from harness.config.errors import HarnessError

_PROBE_BYTES = 64 * 1024
_LONGEST_NAME = 160
"""Bytes of a name; file systems allow 255, and a suffix follows."""

_LEFT_FOR_S = 86_400.0
"""Age after which the temporary file of another machine counts as left behind."""


def file_name(text: str, longest: int = _LONGEST_NAME) -> str:
    """Return ``text`` as the name of a file or folder; every name that is not fixed goes here.

    The result has no separator, does not begin with a dot, and so stays in its folder. At most
    ``longest`` bytes are kept.
    """
    plain = re.sub(r"[^\w.+=-]+", "_", text)
    if plain.startswith("."):
        plain = "_" + plain.lstrip(".")
    return plain.encode()[:longest].decode(errors="ignore") or "_"


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file and put it in the place of ``path``.

    A process killed at any moment leaves the old file or the new one, never half of one.

    Raises:
        HarnessError: the file cannot be written; the message names it and the reason.
    """
    if _is_special(path):
        _write_through(path, write)
        return
    temporary = temporary_path(path)
    failed: list[OSError] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _Recorder(io.FileIO(temporary, "w"), failed) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except Exception as error:
        # Libraries report a failed write in words of their own; the first cause is the disk's.
        cause = failed[0] if failed else error
        if isinstance(cause, OSError):
            raise HarnessError(not_written(path, cause)) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _is_special(path: Path) -> bool:
    """Return whether ``path`` is a device or a pipe, which nothing may take the place of."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode)


def _write_through(path: Path, write: Callable[[BinaryIO], object]) -> None:
    try:
        with path.open("wb") as file:
            write(file)
    except OSError as error:
        raise HarnessError(not_written(path, error)) from error


def temporary_path(path: Path) -> Path:
    """Return where this process writes what becomes ``path``."""
    return path.with_name(f".{path.name}.{_machine()}.{os.getpid()}.tmp")


class _Recorder(io.BufferedWriter):
    """A file that remembers why a write to it failed."""

    def __init__(self, raw: io.FileIO, failed: list[OSError]) -> None:
        super().__init__(raw)
        self._failed = failed

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self._failed.append(error)
            raise


def not_written(path: Path, error: OSError, way_out: str = "name another folder") -> str:
    """Return the sentence on a file that cannot be written, with what else can be done."""
    return f"{path} cannot be written: {error.strerror or error}; free space there, or {way_out}"


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically, unless it holds just that: a read-only disk may keep what it has."""
    if _holds(path, data):
        return
    write_atomically(path, lambda file: file.write(data))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, unless the file holds just that."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, atomically."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")


def append_lines(path: Path, lines: list[str]) -> None:
    """Append whole lines with one write and flush them to the disk; all of them or none.

    A line that an earlier process left unfinished is closed first, so that it cannot swallow the
    first new one.

    Raises:
        HarnessError: the file cannot be written; the message names it and the reason.
    """
    data = "".join(f"{line}\n" for line in lines).encode()
    try:
        with path.open("ab+", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    data = b"\n" + data
            try:
                written = file.write(data)
                while written < len(data):
                    written += file.write(data[written:])
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
    except OSError as error:
        raise HarnessError(not_written(path, error)) from error


def read_text(path: Path) -> str:
    """Read UTF-8 text; raise :class:`HarnessError` naming the file if it is missing or damaged."""
    try:
        require_regular(path, path.stat().st_mode)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(not_read(path, error)) from error


def require_regular(path: Path, mode: int) -> None:
    """Refuse what is no file: a folder, and pipes and devices, which may never end.

    Args:
        path: for the message.
        mode: as the system states it.

    Raises:
        HarnessError: it is none.
    """
    if not stat.S_ISREG(mode):
        raise HarnessError(_damaged(path, "it is no file but a folder, a pipe or a device"))


def not_read(path: Path, error: Exception) -> str:
    """Return the sentence on a file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return f"{path} is missing; run the same command again to make it"
    return _damaged(path, error)


def read_json(path: Path) -> Any:
    """Read JSON; raise :class:`HarnessError` naming the file if it is missing or damaged."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HarnessError(_damaged(path, error)) from error


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; anything else in the file is an error that names it."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise HarnessError(_damaged(path, "it holds no JSON object"))
    return content


def _damaged(path: Path, reason: object) -> str:
    return f"{path} cannot be read ({reason}); move it away and run again"


def make_folder(path: Path) -> None:
    """Make a folder and those above it; raise :class:`HarnessError` if that cannot be done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(not_written(path, error)) from error


def check_writable(folder: Path, flag: str = "--out") -> None:
    """Refuse an output folder that cannot be written, before anything is computed.

    Args:
        folder: that something will be written to.
        flag: by which another one is chosen.

    Raises:
        HarnessError: names the folder and the reason, permissions or a full disk, and the flag.
    """
    remove_leftovers(folder)
    probe = temporary_path(folder / "probe")  # so that a killed process leaves no file for good
    try:
        write_atomically(probe, lambda file: file.write(bytes(_PROBE_BYTES)))
    except HarnessError as error:
        reason = error.__cause__
        assert isinstance(reason, OSError)
        sentence = not_written(folder, reason, f"choose another folder with {flag}")
        raise HarnessError(sentence) from error
    probe.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of processes that are gone from a folder, not from those below it."""
    for path in folder.glob(".*.tmp"):
        if _is_left_behind(path):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_left_behind(path: Path) -> bool:
    machine, _, process = path.name.removesuffix(".tmp").rpartition(".")
    if not process.isdigit():
        return False
    # Windows has no signal that only asks whether a process runs.
    here = os.name == "posix" and machine.endswith(f".{_machine()}")
    if here and not is_running(int(process)):
        return True
    try:
        return time.time() - path.stat().st_mtime > _LEFT_FOR_S
    except OSError:
        return False


def is_running(process: int) -> bool:
    """Return whether a process of this machine is there; asks in a way that Windows lacks."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, and belongs to somebody else
        return True
    return True


def _machine() -> str:
    """Return this machine's name without dots."""
    return re.sub(r"\W+", "-", platform.node())[:20] or "here"


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except OSError:
        return False
