"""What processes that compute runs need of their launchers, and do first."""

from __future__ import annotations

from pathlib import Path

from harness.store.files import temporary_path
from harness.training.child_process import follow_parent as follow_parent
from harness.training.child_process import signals_held as signals_held


def stop_file_of(folder: Path) -> Path:
    """Return the file by which this process asks its workers to stop.

    It is named as a temporary file of this process and machine: another one never meets it, and
    what a killed process left is removed like all such files.
    """
    return temporary_path(folder / "stop")
