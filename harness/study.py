"""Ablations: a base method and named axes, each a list of values that differ from it.

A study is a YAML file. Its cells are those of ``run``: a value that changes nothing is the base's
own cell, and studies that share a value share its cell.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue, model_validator

import harness
from harness.data.cards import load_setting
from harness.data.recipes import load_recipe
from harness.errors import UsageError, did_you_mean
from harness.method import CheckContext
from harness.registry import find, options_as_json, resolve_options
from harness.spec import Spec, parse, read_yaml


class Value(Spec):
    """A point of an axis: another method, other options, or both.

    ``against`` is the label of the value of this axis that it is compared with; else it is the
    study's base.
    """

    label: str
    method: str | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    against: str | None = None


class Axis(Spec):
    """Values in the order in which tables and figures show them."""

    label: str
    values: tuple[Value, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _labels_are_known(self) -> Axis:
        labels = [value.label for value in self.values]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two values are labelled '{label}'")
        for value in self.values:
            if value.against is not None and value.against not in labels:
                raise ValueError(
                    f"'{value.label}' is against '{value.against}', which is no value; "
                    f"{did_you_mean(value.against, labels)}"
                )
        return self


class StudyCard(Spec):
    """What a study's file holds."""

    title: str
    base: str
    axes: dict[str, Axis] = Field(min_length=1)


@dataclass(frozen=True)
class Point:
    """A value with the methods whose cells it needs, by id."""

    label: str
    method: str
    against: str


@dataclass(frozen=True)
class Line:
    """An axis as it is computed."""

    name: str
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Study:
    """A study whose values have become methods."""

    name: str
    title: str
    base: str
    lines: tuple[Line, ...]

    @property
    def methods(self) -> list[str]:
        """Return the ids of all methods, each once, the base first."""
        points = [point for line in self.lines for point in line.points]
        return list(
            dict.fromkeys([self.base, *(id for p in points for id in (p.against, p.method))])
        )


def study_names() -> list[str]:
    """Return the names of the studies that ship with the harness."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_study(name: str, setting_name: str, recipe_name: str) -> Study:
    """Read a study by name, or from a YAML file of one's own, for a setting and a recipe.

    Options that have the base's value already are left out, so that equal cells are one.

    Raises:
        UsageError: no such study, an unknown key, method or option, or options that contradict
            each other.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
    elif name in study_names():
        path = _folder() / f"{name}.yaml"
    else:
        raise UsageError(f"unknown study '{name}'; {did_you_mean(name, study_names())}")
    card = parse(StudyCard, read_yaml(path), str(path))
    setting, recipe = load_setting(setting_name), load_recipe(recipe_name, setting_name)
    context = CheckContext(setting.task_names, recipe.train.micro_batch or recipe.train.batch)

    def method_of(value: Value) -> str:
        asked = value.method or card.base
        try:
            options = options_as_json(resolve_options(find(asked), recipe.size, context))
            changed = {
                k: v for k, v in value.options.items() if k not in options or options[k] != v
            }
            reference = ":".join([asked, *(f"{k}={_text(v)}" for k, v in changed.items())])
            choice = find(reference)
            resolve_options(choice, recipe.size, context)
        except UsageError as error:
            raise UsageError(f"{path}, value '{value.label}': {error}") from error
        return choice.id

    base = method_of(Value(label="base"))
    lines = []
    for axis_name, axis in card.axes.items():
        ids = {value.label: method_of(value) for value in axis.values}
        points = tuple(
            Point(value.label, ids[value.label], ids[value.against] if value.against else base)
            for value in axis.values
        )
        lines.append(Line(axis_name, axis.label, points))
    return Study(path.stem, card.title, base, tuple(lines))


def methods_of(studies: Sequence[Study]) -> list[str]:
    """Return the ids of all methods of several studies, each once."""
    return list(dict.fromkeys(method for study in studies for method in study.methods))


def _folder() -> Path:
    return Path(harness.__file__).parent / "studies"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
