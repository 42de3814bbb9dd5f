"""Importing a Python file of one's own under a name that no other module has."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def import_python_file(path: Path) -> ModuleType:
    """Import a file, whatever else is installed; a file is imported once in a process.

    Raises:
        ImportError: it is no Python file; else whatever the file raises.
    """
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"harness_plugin_{digest}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
