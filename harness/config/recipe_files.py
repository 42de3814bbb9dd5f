"""Recipes: read from YAML, derived from one another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.config.errors import UsageError, did_you_mean
from harness.config.folders import is_file_name, recipe_names, recipes_folder
from harness.config.parsing import parse, read_yaml
from harness.config.recipes import Optimisation, Recipe

_NO_NAME = re.compile(r"[^\w.+-]+")
"""What a recipe's name, which files are called by, does not take over from its file's name."""

_TRAININGS = ("train", "auxiliary")
_SECTIONS = (*_TRAININGS, "test", "runtime")

_SCHEDULE = {
    "warmup_steps": 0,
    "decay_steps": 1,
    "lr_hold_steps": 1,
    "lr_constant_steps": 0,
    "lr_restart_steps": 1,
    "lr_halving_steps": 1,
}
"""What follows the length of a training unless it is set, with the least value of each."""


def load_recipe(name: str, setting: str = "three-task") -> Recipe:
    """Read a recipe by name, or from a YAML file of one's own.

    ``paper`` is what was published for ``setting``: ``recipes/paper/SETTING.yaml``, or, for a
    setting of one's own, that of three-task. Other recipes that ship, such as the published one
    of a method, may have a file per setting in the same way. ``base`` names the recipe whose
    values hold where a recipe says nothing; ``auxiliary`` has the values of ``train`` where it
    says nothing. A recipe
    that sets ``steps`` alone shortens or lengthens the learning rate schedule of its base with it.

    Raises:
        UsageError: no such recipe, an unknown key, values that contradict each other, or a file of
            one's own that is called like a recipe that ships.
    """
    path = _locate(name, setting)
    recipe = _read(path, setting)
    if is_file_name(name) and path.stem in recipe_names():
        shipped = _locate(path.stem, setting)
        if path.resolve() != shipped and _read(shipped, setting) != recipe:
            raise UsageError(
                f"{path} is called like the recipe {path.stem}, which says something else; rename "
                "the file"
            )
    return recipe


def _read(path: Path, setting: str) -> Recipe:
    content = _merged(_layers(path, setting, seen=()))
    name = path.parent.name if _is_of_setting(path) else path.stem
    content["name"] = _NO_NAME.sub("-", name)
    return parse(Recipe, content, str(path))


def _locate(name: str, setting: str) -> Path:
    if is_file_name(name):
        return Path(name).expanduser()
    if name not in recipe_names():
        near = did_you_mean(name, recipe_names())
        raise UsageError(f"unknown recipe '{name}'; {near} (a file of your own ends in .yaml)")
    of_setting = recipes_folder() / name / f"{setting}.yaml"
    return of_setting if of_setting.is_file() else recipes_folder() / f"{name}.yaml"


def _is_of_setting(path: Path) -> bool:
    """Return whether a recipe that ships is that of one setting."""
    return path.parent.parent == recipes_folder()


def _layers(path: Path, setting: str, seen: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Return what a recipe and those that it is based on say, the outermost base first."""
    if path in seen:
        raise UsageError(f"{path}: recipe is based on itself; change its key 'base'")
    content = read_yaml(path)
    for section in _SECTIONS:
        if not isinstance(content.get(section, {}), dict):
            raise UsageError(f"{path}: '{section}' must hold a mapping of keys to values")
    base = content.pop("base", None)
    if base is None:
        return [content]
    if not isinstance(base, str):
        raise UsageError(f"{path}: 'base' must be the name or file of a recipe")
    try:
        base_path = _base_path(path, base, setting)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return [*_layers(base_path, setting, (*seen, path)), content]


def _base_path(path: Path, base: str, setting: str) -> Path:
    # What was published for one setting says only what differs from three-task's.
    if _is_of_setting(path):
        return recipes_folder() / f"{path.parent.name}.yaml"
    if is_file_name(base):
        return path.parent / _locate(base, setting)
    return _locate(base, setting)


def lengthened(train: Optimisation, steps: int) -> Optimisation:
    """Return a training of another length, whose learning rate schedule follows it.

    Raises:
        UsageError: the length does not fit the other values.
    """
    values = _with_length(train.model_dump(mode="json"), {"steps": steps})
    changed = parse(Optimisation, values, f"a training of {steps} steps")
    problem = changed.schedule_problem()
    if problem is not None:
        raise UsageError(f"a training of {steps} steps: {problem}")
    return changed


def _merged(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values that hold: of each key those of the last layer that sets it."""
    merged: dict[str, Any] = {section: {} for section in _SECTIONS}
    of_auxiliary: set[str] = set()
    for layer in layers:
        train, own = layer.get("train", {}), layer.get("auxiliary", {})
        of_auxiliary |= set(own)
        inherited = {key: value for key, value in train.items() if key not in of_auxiliary}
        merged["auxiliary"] = _with_length(merged["auxiliary"], {**inherited, **own})
        merged["train"] = _with_length(merged["train"], train)
        for key, value in layer.items():
            if key in _TRAININGS:
                continue
            merged[key] = {**merged[key], **value} if key in _SECTIONS else value
    return merged


def _with_length(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with what is set in ``own``; schedules that are not set follow the steps."""
    found = {**base, **own}
    before, after = base.get("steps"), found.get("steps")
    if not isinstance(before, int) or not isinstance(after, int) or min(before, after) < 1:
        return found  # the schema says what is wrong
    for key, least in _SCHEDULE.items():
        if key not in own and isinstance(base.get(key), int):
            found[key] = max(least, (base[key] * after + before // 2) // before)
    return found
