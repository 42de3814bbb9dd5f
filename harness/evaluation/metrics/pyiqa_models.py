"""The names and directions of pyiqa's metrics, read from its configuration without importing it.

pyiqa takes seconds to import, and planning only has to know whether a name exists.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path

CONVENTIONS = {"niqe": "niqe-y601-border0", "fid": "fid-clean"}
"""What ids of this project call metrics of pyiqa that are published in several conventions.

NIQE is taken of BT.601 luma in whole levels, of blocks of 96 pixels from the top left, without a
border removed (BasicSR; super-resolution removes as many pixels as its factor). FID resizes images
as clean-fid does.
"""

SET_NAMES = ("fid", "fid_dinov2", "sfid", "inception_score")
"""Metrics of pyiqa that are of a set of images."""


def id_part(name: str) -> str:
    """Return what an id of this project calls pyiqa's metric ``name``."""
    return CONVENTIONS.get(name, name)


def name_of(part: str) -> str:
    """Return pyiqa's name of a metric from the part of its id behind the prefix, or its name."""
    for name, stated in CONVENTIONS.items():
        if part == stated:
            return name
    return part


@functools.cache
def pyiqa_directions() -> Mapping[str, bool]:
    """Return by name of each of pyiqa's metrics whether higher values are better.

    Empty where pyiqa is not installed, or states its models otherwise than version 0.1 does
    (``DEFAULT_CONFIGS`` in default_model_configs.py).
    """
    spec = importlib.util.find_spec("pyiqa")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).with_name("default_model_configs.py")
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return {}
    return _directions(tree)


def _directions(tree: ast.Module) -> dict[str, bool]:
    for statement in tree.body:
        if not isinstance(statement, ast.Assign):
            continue
        for part in ast.walk(statement.value):
            if isinstance(part, ast.Dict):  # the outermost comes first
                return _of_models(part)
    return {}


def _of_models(models: ast.Dict) -> dict[str, bool]:
    found = {}
    for name, config in zip(models.keys, models.values, strict=True):
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            found[name.value] = not _is_lower_better(config)
    return found


def _is_lower_better(config: ast.expr) -> bool:
    if not isinstance(config, ast.Dict):
        return False
    for key, value in zip(config.keys, config.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "lower_better":
            return isinstance(value, ast.Constant) and bool(value.value)
    return False
