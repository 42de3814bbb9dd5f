"""Compilation of the C++ kernels, once per machine, and their loading.

The object is compiled with OpenMP but not linked against an OpenMP runtime: its symbols resolve to
the runtime that torch loaded, so both share one pool of threads. A second pool would compete with
the first for the same cores by busy waiting.
"""

from __future__ import annotations

import ctypes
import functools
import getpass
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.method import note_runtime

SWITCH = "HARNESS_KERNELS"
"""Environment variable; ``off`` turns the kernels off."""

SOURCE = Path(__file__).with_name("depthwise.cpp")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math")
_COMPILE_LIMIT_S = 300


@dataclass(frozen=True)
class Kernels:
    """The loaded library.

    Attributes:
        library: None where it could not be built or loaded, or is switched off.
        reason: ``compiled``, or why there is no library.
    """

    library: ctypes.CDLL | None
    reason: str


@dataclass(frozen=True)
class KernelCheck:
    """What would become of the kernels in a process that asks for them now.

    Attributes:
        name: what is checked.
        value: what was found.
        is_fast: whether the kernels run, at once or after they are compiled.
        advice: what to do where they do not.
    """

    name: str
    value: str
    is_fast: bool
    advice: str = ""


def check_kernels() -> KernelCheck:
    """Return whether the kernels are compiled, would be, or cannot be; compiles nothing."""
    name = "depthwise kernels"
    if _is_switched_off():
        return KernelCheck(name, f"off ({SWITCH}=off)", False, f"unset {SWITCH} for faster runs")
    compiler = _compiler()
    if compiler is None:
        advice = "install one, such as g++; without it plain torch computes the same, slower"
        return KernelCheck(name, "no C++ compiler", False, advice)
    try:
        file = _object_name(compiler)
    except (OSError, subprocess.CalledProcessError) as error:
        return KernelCheck(name, f"{compiler} does not work ({error})", False, "install it again")
    for folder in (cache_folder(), fallback_folder()):
        if (folder / file).is_file():
            return KernelCheck(name, f"compiled in {folder}", True)
    return KernelCheck(name, f"compiled at first use by {compiler}", True)


@functools.cache
def kernels() -> Kernels:
    """Return the kernels; the environment variable HARNESS_KERNELS=off turns them off.

    Without them the last digits of results differ, so one line on standard error says why they
    are off.
    """
    found = _load()
    note_runtime("depthwise kernels", found.reason)
    if found.library is None and not _is_switched_off():
        _warn(
            f"compiled kernels are off, which is slower and changes the last digits of results: "
            f"{found.reason}"
        )
    return found


def _load() -> Kernels:
    if _is_switched_off():
        return Kernels(None, f"{SWITCH}=off")
    compiler = _compiler()
    if compiler is None:
        return Kernels(None, "no C++ compiler (c++ or g++) was found")
    reasons = []
    for folder in (cache_folder(), fallback_folder()):
        found = _load_from(folder, compiler)
        if found.library is not None:
            if reasons:
                _warn(f"{reasons[0]}; compiled kernels are in {folder} instead")
            return found
        reasons.append(found.reason)
    return Kernels(None, reasons[0])


def _load_from(folder: Path, compiler: str) -> Kernels:
    try:
        _make_private(folder)
        return Kernels(ctypes.CDLL(str(_built(compiler, folder))), "compiled")
    except subprocess.CalledProcessError as error:
        first = error.stderr.strip().splitlines()[:1]
        return Kernels(None, f"{compiler} failed: {''.join(first)}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Kernels(None, f"the kernels could not be built or loaded: {error}")


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")


def _is_switched_off() -> bool:
    return os.environ.get(SWITCH, "on") == "off"


def _warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _make_private(folder: Path) -> None:
    """Make ``folder``, and refuse one that another user could put libraries into.

    Raises:
        OSError: it cannot be made, or belongs to another user.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid not in (os.getuid(), 0):
        raise PermissionError(f"{folder} belongs to another user")


def _built(compiler: str, folder: Path) -> Path:
    """Return the shared object of this source, compiler and processor; compile it if new."""
    name = _object_name(compiler)
    target = folder / name
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        unit, shared = Path(scratch, "unit.o"), Path(scratch, name)
        _call(compiler, *FLAGS, "-fopenmp", "-fPIC", "-c", str(SOURCE), "-o", str(unit))
        _call(compiler, "-shared", str(unit), "-o", str(shared))
        shared.replace(target)
    return target


def _object_name(compiler: str) -> str:
    """Return the name of the shared object that this source, compiler and processor make."""
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=True
    ).stdout
    identity = "\n".join([SOURCE.read_text("utf-8"), *FLAGS, version, _processor()])
    return f"depthwise-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"


def cache_folder() -> Path:
    """Return the folder of compiled kernels, under XDG_CACHE_HOME or ~/.cache.

    Without a home folder it is the one that serves where the other cannot be written.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        root = Path(base) if base else Path.home() / ".cache"
    except RuntimeError:  # no HOME
        return fallback_folder()
    return root / "restoration-harness" / "kernels"


def fallback_folder() -> Path:
    """Return this user's folder of compiled kernels among temporary files."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    return Path(tempfile.gettempdir()) / f"restoration-harness-kernels-{user}"


def _call(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=_COMPILE_LIMIT_S)


def _processor() -> str:
    """Return what -march=native depends on, so that machines may share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    named = {line for line in lines if line.startswith(("model name", "flags"))}
    return "\n".join(sorted(named))
