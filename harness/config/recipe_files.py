"""Recipes: read from YAML, derived from one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.config.errors import UsageError, did_you_mean
from harness.config.package import PACKAGE_FOLDER
from harness.config.parsing import parse, read_yaml
from harness.config.recipes import Recipe


def _folder() -> Path:
    return PACKAGE_FOLDER / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship with the harness."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_recipe(name: str, setting: str = "three-task") -> Recipe:
    """Read a recipe by name, or from a YAML file of one's own.

    ``paper`` is what was published for ``setting``: ``recipes/paper/SETTING.yaml``, or, for a
    setting of one's own, that of three-task. ``base`` names the recipe whose values hold where a
    recipe says nothing; ``auxiliary`` has the values of ``train`` where it says nothing.

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
        raise UsageError(f"{path}: recipe is based on itself; change its key 'base'")
    content = read_yaml(path)
    base = content.pop("base", None)
    if base is None:
        return content
    base_path = _base_path(path, str(base), setting)
    return _merged(_with_base(base_path, setting, (*seen, path)), content)


def _base_path(path: Path, base: str, setting: str) -> Path:
    # What was published for one setting says only what differs from three-task's.
    if path.parent == _folder() / "paper":
        return _folder() / "paper.yaml"
    return _locate(base, setting)


def _merged(base: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in content.items():
        known = merged.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            merged[key] = {**known, **value}
        else:
            merged[key] = value
    return merged
