"""Files of one's own: folders of YAML and degradations (``--include``) and plug-ins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.config.errors import UsageError
from harness.config.folders import include_folders, own_degradation_files
from harness.registry import catalogue, use_plugins


def use_own_files(include: Sequence[Path], plugins: Sequence[Path]) -> None:
    """Make folders and plug-ins of one's own known, here and in processes that this one starts.

    Raises:
        UsageError: a folder or file does not exist, has a name that is taken, or a Python file of
            degradations cannot be imported.
    """
    include_folders(include)
    degradations = own_degradation_files()
    use_plugins([*degradations, *plugins])
    if not degradations:
        return
    broken = catalogue().broken
    for path in degradations:
        if path.stem in broken:
            raise UsageError(f"a degradation of your own cannot be used: {broken[path.stem]}")
