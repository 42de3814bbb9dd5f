"""What a number was made with: versions, machine, memory, commit."""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.config.package import PACKAGE_FOLDER
from harness.config.version import __version__
from harness.execution.process import Worker
from harness.method import runtime_notes


def provenance(worker: Worker) -> dict[str, Any]:
    """Return what a number was made with, as JSON values."""
    versions = {"harness": __version__, "python": platform.python_version()}
    for name in ("torch", "numpy"):
        versions[name] = importlib.import_module(name).__version__
    joint: dict[str, Any] = {}
    if not worker.ranks.alone:
        joint = {"world_size": worker.ranks.count, "backend": worker.ranks.backend}
    return {
        **joint,
        "versions": versions,
        "computed_with": runtime_notes(),
        "git_commit": _git_commit(),
        "platform": platform.platform(),
        "device": worker.device,
        "threads": worker.threads,
        "jobs": worker.jobs,
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> int | None:
    """Return the most memory that this process had; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _git_commit() -> str | None:
    """Return the commit of a checkout, with ``+`` if files differ from it; None in a wheel."""
    root = PACKAGE_FOLDER.parent
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changes = _git(root, "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changes else "")


def _git(root: Path, *command: str) -> str:
    finished = subprocess.run(
        ["git", "-C", str(root), *command], capture_output=True, text=True, check=True
    )
    return finished.stdout.strip()
