"""Importing a Python file of one's own under a name that no other module has."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from harness.config.errors import UsageError
from harness.config.hashing import file_sha256

_sha256_at_import: dict[str, str] = {}
"""The hashes of the files that this process has imported, by the name of the module."""


def import_python_file(path: Path) -> ModuleType:
    """Import a file, whatever else is installed; a file is imported once in a process.

    Raises:
        ImportError: it is no Python file; else whatever the file raises.
    """
    name = _module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        if isinstance(spec.loader, SourceFileLoader):
            source = path.read_bytes()
            _sha256_at_import[name] = hashlib.sha256(source).hexdigest()
            # What is hashed is what runs; a cache of compiled code goes by time and size.
            exec(spec.loader.source_to_code(source, str(path)), vars(module))
        else:
            _sha256_at_import[name] = file_sha256(path)
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def sha256_at_import(path: Path) -> str:
    """Return the hash of a file as this process imported it; of one that it has not, as it is.

    Raises:
        HarnessError: the file was not imported, and cannot be read.
    """
    name = _module_name(path)
    return _sha256_at_import[name] if name in sys.modules else file_sha256(path)


def check_unchanged(path: Path) -> None:
    """Refuse a file that is another one than this process has imported.

    Raises:
        UsageError: it has changed.
        HarnessError: it cannot be read any more.
    """
    if file_sha256(path) != sha256_at_import(path):
        raise UsageError(
            f"{path} changed since this process imported it; start a new process, in a notebook a "
            "new kernel"
        )


def _module_name(path: Path) -> str:
    digest = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:8]
    return f"harness_plugin_{digest}_{path.stem}"
