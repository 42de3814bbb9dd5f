"""Recipes: read from YAML, derived from one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import harness
from harness.errors import UsageError, did_you_mean
from harness.spec import Recipe, parse, read_yaml


def _folder() -> Path:
    return Path(harness.__file__).parent / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship with the harness."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_recipe(name: str) -> Recipe:
    """Read a recipe by name, or from a YAML file of one's own.

    ``base`` names the recipe whose values hold where this one is silent; ``auxiliary`` takes
    what it does not say from ``train``.

    Raises:
        UsageError: no such recipe, an unknown key, or values that contradict each other.
    """
    path = _locate(name)
    content = _with_base(path, seen=())
    content["name"] = path.stem
    content["auxiliary"] = {**content.get("train", {}), **content.get("auxiliary", {})}
    return parse(Recipe, content, str(path))


def _locate(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    if name not in recipe_names():
        raise UsageError(f"unknown recipe '{name}'; {did_you_mean(name, recipe_names())}")
    return _folder() / f"{name}.yaml"


def _with_base(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise UsageError(f"{path}: recipe is based on itself")
    content = read_yaml(path)
    base = content.pop("base", None)
    if base is None:
        return content
    merged = _with_base(_locate(str(base)), (*seen, path))
    for key, value in content.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged
