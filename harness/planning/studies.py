"""Ablations: a base method and named axes, each a list of values that differ from it.

A study is a YAML file. Its runs are those of ``run``: a value that changes nothing is the base's
own run, and studies that share a value share its run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue, model_validator

from harness.config.errors import UsageError, did_you_mean
from harness.config.files import load_setting
from harness.config.package import PACKAGE_FOLDER
from harness.config.parsing import parse, read_yaml
from harness.config.recipe_files import load_recipe
from harness.config.recipes import Recipe
from harness.config.spec import Label, Spec
from harness.registry import (
    MethodChoice,
    find,
    options_as_json,
    resolve_options,
    with_options,
)


class ValueSpec(Spec):
    """A value of an axis: another method, other options, or both.

    Attributes:
        label: what tables call it.
        method: the method, where it is another than the study's base.
        options: options of the method that differ from the base's.
        baseline: label of the value of this axis that it is compared with; without it, that is
            the study's base.
    """

    label: Label
    method: str | None = None
    options: dict[str, JsonValue] = Field(default_factory=dict)
    baseline: str | None = None


class AxisSpec(Spec):
    """Values in the order in which tables and figures show them.

    Attributes:
        label: heading of the axis.
        values: two at least.
    """

    label: Label
    values: tuple[ValueSpec, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _labels_are_known(self) -> AxisSpec:
        labels = [value.label for value in self.values]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two values are labelled '{label}'")
        for value in self.values:
            if value.baseline is not None and value.baseline not in labels:
                raise ValueError(
                    f"the baseline of '{value.label}' is '{value.baseline}', which is no value; "
                    f"{did_you_mean(value.baseline, labels)}"
                )
        return self


class StudySpec(Spec):
    """What a study's file holds.

    Attributes:
        title: heading of its tables.
        base: the method, with options, that values differ from.
        axes: what is changed, by name, one thing at a time.
        cross: two axes whose values are also combined, each with each.
    """

    title: Label
    base: str
    axes: dict[str, AxisSpec] = Field(min_length=1)
    cross: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _crosses_two_axes(self) -> StudySpec:
        if self.cross and len(set(self.cross)) != 2:
            raise ValueError("cross names two axes, as 'cross: [a, b]'")
        for name in self.cross:
            if name not in self.axes:
                raise ValueError(
                    f"cross names '{name}', which is no axis; {did_you_mean(name, self.axes)}"
                )
        return self


@dataclass(frozen=True)
class StudyValue:
    """A value with the ids of the method that it is and of its baseline."""

    label: str
    method: str
    baseline: str


@dataclass(frozen=True)
class StudyAxis:
    """An axis as it is computed."""

    name: str
    label: str
    values: tuple[StudyValue, ...]


@dataclass(frozen=True)
class StudyCross:
    """Two axes, every value of one with every value of the other.

    Attributes:
        first: the axis of the rows.
        second: the axis of the columns.
        methods: ids by row and column.
    """

    first: StudyAxis
    second: StudyAxis
    methods: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Study:
    """A study whose values have become methods."""

    name: str
    title: str
    base: str
    axes: tuple[StudyAxis, ...]
    cross: StudyCross | None = None

    @property
    def methods(self) -> list[str]:
        """The ids of all methods, each once, the base first if anything is compared with it."""
        found: list[str] = []
        for axis in self.axes:
            for value in axis.values:
                found += [value.baseline, value.method]
        if self.cross is not None:
            found.append(self.base)
            for row in self.cross.methods:
                found += row
        first = [self.base] if self.base in found else []
        return list(dict.fromkeys([*first, *found]))


def study_names() -> list[str]:
    """Return the names of the studies that ship with the harness."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def load_study(name: str, setting_name: str, recipe_name: str, base: str | None = None) -> Study:
    """Read a study by name, or from a YAML file of one's own, for a setting and a recipe.

    Options that have the base's value already are left out, so that equal runs are one. ``base``
    is a method, with options, that takes the place of the one that the study names.

    Raises:
        UsageError: no such study, an unknown key, method or option, or options that contradict
            each other.
    """
    path = _locate(name)
    spec = parse(StudySpec, read_yaml(path), str(path))
    if base is not None:
        spec = spec.model_copy(update={"base": base})
    setting = load_setting(setting_name)
    recipe = load_recipe(recipe_name, setting.name)
    resolver = _Resolver(path, spec.base, setting.task_names, recipe)
    base_id = resolver.method_id(ValueSpec(label="base"))
    axes = []
    for axis_name, axis in spec.axes.items():
        ids = {value.label: resolver.method_id(value) for value in axis.values}
        values = []
        for value in axis.values:
            baseline = base_id if value.baseline is None else ids[value.baseline]
            values.append(StudyValue(value.label, ids[value.label], baseline))
        axes.append(StudyAxis(axis_name, axis.label, tuple(values)))
    cross = _crossed(spec, axes, resolver) if spec.cross else None
    return Study(path.stem, spec.title, base_id, tuple(axes), cross)


def _crossed(spec: StudySpec, axes: Sequence[StudyAxis], resolver: _Resolver) -> StudyCross:
    """Return the two crossed axes with the methods that combine their values."""
    by_name = {axis.name: axis for axis in axes}
    first, second = spec.cross
    rows = []
    for one in spec.axes[first].values:
        row = []
        for other in spec.axes[second].values:
            row.append(resolver.method_id(_combined(one, other, resolver.path)))
        rows.append(tuple(row))
    return StudyCross(by_name[first], by_name[second], tuple(rows))


def _combined(one: ValueSpec, other: ValueSpec, path: Path) -> ValueSpec:
    """Return the value that changes what both change.

    Raises:
        UsageError: both change the same.
    """
    label = f"{one.label} x {other.label}"
    if one.method is not None and other.method is not None and one.method != other.method:
        raise UsageError(
            f"{path}, value '{label}': both axes name a method, {one.method} and {other.method}; "
            "cross axes that change different things"
        )
    for name in one.options.keys() & other.options.keys():
        if one.options[name] != other.options[name]:
            raise UsageError(
                f"{path}, value '{label}': both axes set {name}; cross axes that change different "
                "things"
            )
    options = {**one.options, **other.options}
    return ValueSpec(label=label, method=one.method or other.method, options=options)


def methods_of(studies: Sequence[Study]) -> list[str]:
    """Return the ids of all methods of several studies, each once."""
    found: list[str] = []
    for study in studies:
        found += study.methods
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class _Resolver:
    """Turns the values of one study's file into methods."""

    path: Path
    base: str
    tasks: tuple[str, ...]
    recipe: Recipe

    def method_id(self, value: ValueSpec) -> str:
        try:
            return self._method_id(value)
        except UsageError as error:
            raise UsageError(f"{self.path}, value '{value.label}': {error}") from error

    def _method_id(self, value: ValueSpec) -> str:
        asked = find(value.method or self.base)
        options = self._options(asked)
        defaults = self._options(with_options(asked, dict.fromkeys(value.options)))
        changes: dict[str, str | None] = {}
        for name, wanted in value.options.items():
            if name in defaults and defaults[name] == wanted:
                changes[name] = None
            elif name not in options or options[name] != wanted:
                changes[name] = wanted if isinstance(wanted, str) else json.dumps(wanted)
        method = with_options(asked, changes)
        self._options(method)
        return method.id

    def _options(self, method: MethodChoice) -> dict[str, Any]:
        train = self.recipe.train
        options = resolve_options(
            method,
            self.recipe.size,
            self.tasks,
            micro_batch=train.micro_batch or train.batch,
            steps=train.steps if method.spec.trained else None,
        )
        return options_as_json(options)


def _locate(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    if name not in study_names():
        raise UsageError(f"unknown study '{name}'; {did_you_mean(name, study_names())}")
    return _folder() / f"{name}.yaml"


def _folder() -> Path:
    return PACKAGE_FOLDER / "studies"
