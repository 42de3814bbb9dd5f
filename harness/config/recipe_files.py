"""Recipes: read from YAML, derived from one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import harness
from harness.config.errors import UsageError, did_you_mean
from harness.config.parsing import parse, read_yaml
from harness.config.recipes import Recipe


def _folder() -> Path:
    return Path(harness.__file__).parent / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship with the harness."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_recipe(name: str, setting: str = "three-task") -> Recipe:
    """Read a recipe by name, or from a YAML file of one's own.

    ``paper`` is what was published for ``setting``: ``recipes/paper/SETTING.yaml``, or, for a
    setting of one's own, that of three-task. ``base`` names the recipe whose values hold where this
    one is silent; ``auxiliary`` takes what it does not say from ``train``.

    Raises:
        UsageError: no such recipe, an unknown key, or values that contradict each other.
    """
    path = _locate(name, setting)
    content = _with_base(path, setting, seen=())
    content["name"] = "paper" if path.parent == _folder() / "paper" else path.stem
    content["auxiliary"] = {**content.get("train", {}), **content.get("auxiliary", {})}
    return parse(Recipe, content, str(path))


def _locate(name: str, setting: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    if name not in recipe_names():
        raise UsageError(f"unknown recipe '{name}'; {did_you_mean(name, recipe_names())}")
    published = _folder() / "paper" / f"{setting}.yaml"
    if name == "paper" and published.is_file():
        return published
    return _folder() / f"{name}.yaml"


def _with_base(path: Path, setting: str, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise UsageError(f"{path}: recipe is based on itself")
    content = read_yaml(path)
    base = content.pop("base", None)
    if base is None:
        return content
    # What was published for one setting says only what differs from three-task's.
    own = path.parent == _folder() / "paper"
    found = _folder() / "paper.yaml" if own else _locate(str(base), setting)
    merged = _with_base(found, setting, (*seen, path))
    for key, value in content.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged
