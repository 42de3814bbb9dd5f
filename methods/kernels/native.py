"""Compilation of the C++ kernels, once per machine, and their loading.

The object is compiled with OpenMP but not linked against an OpenMP runtime: its symbols resolve to
the runtime that torch loaded, so both share one pool of threads. A second pool would compete with
the first for the same cores by busy waiting.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.method import note_runtime

SWITCH = "HARNESS_KERNELS"
"""Environment variable; ``off`` turns the kernels off."""

_SOURCE = Path(__file__).with_name("depthwise.cpp")
_FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math")
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


@functools.cache
def kernels() -> Kernels:
    """Return the kernels; the environment variable HARNESS_KERNELS=off turns them off."""
    found = _load()
    note_runtime("depthwise kernels", found.reason)
    return found


def _load() -> Kernels:
    if os.environ.get(SWITCH, "on") == "off":
        return Kernels(None, f"{SWITCH}=off")
    compiler = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")
    if compiler is None:
        return Kernels(None, "no C++ compiler (c++ or g++) was found")
    try:
        return Kernels(ctypes.CDLL(str(_built(compiler))), "compiled")
    except subprocess.CalledProcessError as error:
        first = error.stderr.strip().splitlines()[:1]
        return Kernels(None, f"{compiler} failed: {''.join(first)}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Kernels(None, f"the kernels could not be built or loaded: {error}")


def _built(compiler: str) -> Path:
    """Return the shared object of this source, compiler and processor; compile it if new."""
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=True
    ).stdout
    identity = "\n".join([_SOURCE.read_text("utf-8"), *_FLAGS, version, _processor()])
    name = f"depthwise-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"
    folder = cache_folder()
    target = folder / name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        unit, shared = Path(scratch, "unit.o"), Path(scratch, name)
        _call(compiler, *_FLAGS, "-fopenmp", "-fPIC", "-c", str(_SOURCE), "-o", str(unit))
        _call(compiler, "-shared", str(unit), "-o", str(shared))
        shared.replace(target)
    return target


def cache_folder() -> Path:
    """Return the folder of compiled kernels, under XDG_CACHE_HOME or ~/.cache.

    Raises:
        OSError: there is neither.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        cache = Path(base) if base else Path.home() / ".cache"
    except RuntimeError as error:  # HOME is not set, and the system does not know the user
        raise OSError("no home folder is known; set XDG_CACHE_HOME") from error
    return cache / "restoration-harness" / "kernels"


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
