"""Which of pyiqa's metrics need weights, and which files of them are on this machine.

Both are read from pyiqa's source and from folders, without importing it and without a network.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path

_MODEL = re.compile(r"^        '([^']+)': \{.*?'type': '(\w+)'", re.DOTALL | re.MULTILINE)
_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
_FILE = re.compile(r"get_url_from_name\(\s*(?:name=)?['\"]([^'\"]+)['\"]")
_REPOSITORY = "models--chaofengc--IQA-PyTorch-Weights"


def weights_of_metrics() -> Mapping[str, frozenset[str]]:
    """Return by metric the files that its network can read; a metric needs one or two of them.

    Metrics without weights are left out. Empty where pyiqa is not installed.
    """
    spec = importlib.util.find_spec("pyiqa")
    if spec is None or spec.origin is None:
        return {}
    package = Path(spec.origin).parent
    try:
        models = (package / "default_model_configs.py").read_text(encoding="utf-8")
        files = _files_by_class(package / "archs")
    except OSError:
        return {}
    found: dict[str, frozenset[str]] = {}
    for name, network in _MODEL.findall(models):
        if files.get(network):
            found[name] = files[network]
    return found


def _files_by_class(folder: Path) -> dict[str, frozenset[str]]:
    """Return by class of a network the weights that its module names."""
    found: dict[str, frozenset[str]] = {}
    for module in sorted(folder.glob("*.py")):
        source = module.read_text(encoding="utf-8")
        names = frozenset(_FILE.findall(source))
        for network in _CLASS.findall(source):
            found[network] = names
    return found


def weight_folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the folders in which pyiqa looks for weights; none without a home folder."""
    try:
        cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        if "TORCH_HOME" not in environ:
            return []
        return [Path(environ["TORCH_HOME"]) / "hub" / "pyiqa"]
    torch_home = Path(environ.get("TORCH_HOME") or cache / "torch")
    face = Path(environ.get("HF_HOME") or cache / "huggingface")
    hub = Path(environ.get("HF_HUB_CACHE") or face / "hub")
    return [torch_home / "hub" / "pyiqa", hub / _REPOSITORY]


def found_weights(folders: list[Path]) -> frozenset[str]:
    """Return the names of all files below ``folders``."""
    names: set[str] = set()
    for folder in folders:
        try:
            names.update(path.name for path in folder.rglob("*") if path.is_file())
        except OSError:  # a folder that may not be listed
            continue
    return frozenset(names)
