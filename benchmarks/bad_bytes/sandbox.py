"""A folder around each case, in which everything but the output folder must stay as it was."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bad_bytes.case import Case

MARK = "MARK"
"""File in the box that a payload makes when it runs."""

LONGEST_S = 20.0
_PATIENCE = 6
"""Times as long before a process is ended that waits, for the machine or for ever."""
MOST_BYTES = 2 * 2**30
_ADDRESS_BYTES = 6 * 2**30
_OUTPUT = (
    *("work/out/", "work/new/", "home/.cache/", "home/.config/matplotlib/"),
    "tmp/torchinductor_",  # torch makes it when it is imported
)
"""What a command may write: its output folders, and caches."""

_SIZE = 2**20


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit code; negative for a signal.
        stdout, stderr: what it printed.
        used_s: time of its process on a core, which other programs on the machine do not lengthen.
        peak_bytes: the most memory that its process held.
        strayed: what it made, changed or removed outside its output folders.
    """

    code: int
    stdout: str
    stderr: str
    used_s: float
    peak_bytes: int
    strayed: tuple[str, ...]


class Box:
    """Where cases run, each in a fork of this process.

    Attributes:
        root: the folder around everything.
        whole: the folder of whole inputs, which each case gets a copy of.
    """

    def __init__(self, root: Path, whole: Path) -> None:
        self.root, self.whole = root, whole
        self._right: dict[Any, str] = {}

    def run(self, case: Case, harmed: bool = True) -> Ended:
        """Run a case, or its command on the whole input."""
        work = self._fresh()
        with contextlib.chdir(work):
            case.set_up(work)
            if harmed:
                case.harm(work)
        before = _state(self.root)
        code, used_s, peak_bytes = self._fork(case)
        after = _state(self.root)
        strayed = [name for name in before.keys() | after.keys() if _strays(name, before, after)]
        texts = [_text(self.root / name) for name in ("stdout", "stderr")]
        return Ended(code, texts[0], texts[1], used_s, peak_bytes, tuple(sorted(strayed)))

    def right(self, case: Case) -> str:
        """Return what the command prints of the whole input."""
        key = case.words, case.set_up, case.environment
        if key not in self._right:
            ended = self.run(case, harmed=False)
            if ended.code != 0:
                raise SystemExit(f"the whole input of {case.words} fails: {ended.stderr}")
            self._right[key] = ended.stdout
        return self._right[key]

    @property
    def work(self) -> Path:
        return self.root / "work"

    def _fresh(self) -> Path:
        for entry in list(self.root.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        shutil.copytree(self.whole, self.work)
        for name in ("home", "tmp", "outside"):
            (self.root / name).mkdir()
        (self.root / "outside" / "diary.txt").write_text("not to be touched\n")
        return self.work

    def _fork(self, case: Case) -> tuple[int, float, int]:
        process = os.fork()
        if process == 0:
            self._be(case)
        end = time.monotonic() + _PATIENCE * LONGEST_S
        found, status, usage = os.wait4(process, os.WNOHANG)
        while not found:
            time.sleep(0.002)
            if time.monotonic() > end:
                os.kill(process, signal.SIGKILL)
            found, status, usage = os.wait4(process, os.WNOHANG)
        used_s = usage.ru_utime + usage.ru_stime
        return os.waitstatus_to_exitcode(status), used_s, usage.ru_maxrss * 1024

    def _be(self, case: Case) -> None:
        """Be the command, to the end of this process."""
        code = 99
        try:
            os.chdir(self.work)
            _redirect(self.root)
            _set_environment(self.root, case)
            resource.setrlimit(resource.RLIMIT_CPU, (int(2 * LONGEST_S),) * 2)
            resource.setrlimit(resource.RLIMIT_AS, (_mapped() + _ADDRESS_BYTES,) * 2)
            sys.argv = ["harness", *case.words]
            from harness.cli import main

            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        except BaseException as error:
            sys.stderr.write(f"Traceback of {type(error).__name__}\n")
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _redirect(root: Path) -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        target = os.open(root / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, number)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8")
        setattr(sys, name, stream)


def _set_environment(root: Path, case: Case) -> None:
    named: dict[str, str | None] = {"HOME": str(root / "home"), "TMPDIR": str(root / "tmp")}
    named |= {"BAD_BYTES_MARK": str(root / MARK), "COLUMNS": "100"}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HARNESS_IMAGE_CACHE", "HARNESS_DATA_ROOT"):
        named[name] = None
    for name, value in {**named, **dict(case.environment)}.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    import tempfile

    tempfile.tempdir = None


def _mapped() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_SIZE).decode(errors="replace")


def _state(root: Path) -> dict[str, tuple[Any, ...]]:
    """Return what every file and folder of the box is known by."""
    found: dict[str, tuple[Any, ...]] = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in (*folders, *files):
            path = folder + b"/" + name
            status = os.lstat(path)
            about: tuple[Any, ...] = (status.st_mode, status.st_ino)
            if name in files:
                about = (*about, status.st_size, status.st_mtime_ns)
            found[os.fsdecode(os.path.relpath(path, os.fsencode(root)))] = about
    return found


def _strays(name: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Return whether an entry of the box changed that a command must leave alone."""
    if name in ("stdout", "stderr") or before.get(name) == after.get(name):
        return False
    return not f"{name}/".startswith(_OUTPUT) and not any(
        folder.startswith(f"{name}/") for folder in _OUTPUT
    )
