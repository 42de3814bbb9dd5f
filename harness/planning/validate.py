"""Checking a file of one's own before it is used: what it is, and the first mistake in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.data_sets import DataSetSpec
from harness.config.degradation import registered_kinds
from harness.config.errors import UsageError, did_you_mean
from harness.config.files import (
    load_data_set,
    load_ood_set,
    load_protocol,
    load_setting,
    read_data_set,
)
from harness.config.parsing import parse, read_yaml
from harness.config.protocols import NamedProtocol
from harness.config.recipe_files import load_recipe
from harness.config.recipes import Recipe
from harness.config.settings import OODSet, Setting, TestSource, TrainingSource
from harness.config.spec import Spec
from harness.evaluation.metrics.registry import metric_ids
from harness.planning.own_files import use_own_files
from harness.planning.request import RunRequest
from harness.planning.studies import StudySpec, load_study
from harness.registry import catalogue, find


@dataclass(frozen=True)
class FileKind:
    """A kind of YAML file.

    Attributes:
        name: what it is called.
        schema: its keys.
        check: reads a file of the kind and returns what is in it, in a few words.
        more_keys: keys that are not in the schema.
    """

    name: str
    schema: type[Spec]
    check: Callable[[Path], str]
    more_keys: tuple[str, ...] = ()

    @property
    def keys(self) -> set[str]:
        """The keys of the top level."""
        return {*self.schema.model_fields, *self.more_keys}


def validate_file(path: Path, kind: str | None = None) -> str:
    """Return a sentence on what a file is and holds.

    Args:
        path: a YAML file, or a Python file with methods, metrics or degradations.
        kind: what it is; None finds out from its keys.

    Raises:
        UsageError: the first mistake, with the line of the file; or the kind is unknown.
    """
    if path.suffix == ".py":
        return _validate_python(path)
    content = read_yaml(path)
    found = _kind_of(content, path) if kind is None else _kind_called(kind)
    return f"{path} is a {found.name}: {found.check(path)}"


def _kind_called(name: str) -> FileKind:
    by_name = {kind.name: kind for kind in FILE_KINDS}
    if name not in by_name:
        raise UsageError(f"--as {name} is no kind of file; {did_you_mean(name, by_name)}")
    return by_name[name]


def _kind_of(content: dict[str, Any], path: Path) -> FileKind:
    """Return the kind that has most of a file's keys; of equals the one with fewer keys."""
    counts = {kind.name: len(kind.keys & set(map(str, content))) for kind in FILE_KINDS}
    best = max(FILE_KINDS, key=lambda kind: (counts[kind.name], -len(kind.keys)))
    if best.schema is OODSet and not isinstance(content.get("synthetic", True), bool):
        return _kind_called("setting")
    if counts[best.name] == 0:
        names = ", ".join(kind.name for kind in FILE_KINDS)
        raise UsageError(f"{path} has no key of a known kind of file; known are {names}")
    return best


def _validate_python(path: Path) -> str:
    before = set(registered_kinds())
    use_own_files((), (path,))
    found = catalogue()
    if path.stem in found.broken:
        raise UsageError(f"the file cannot be used: {found.broken[path.stem]}")
    source = str(path.resolve())
    methods = [name for name, spec in found.specs.items() if spec.source_file == source]
    kinds = sorted(set(registered_kinds()) - before)
    parts: list[str] = []
    if methods:
        parts.append(f"methods {', '.join(methods)}")
    if kinds:
        parts.append(f"degradations {', '.join(kinds)}")
    return f"{path} is a plug-in: {'; '.join(parts) or 'no method or degradation in it'}"


def _setting(path: Path) -> str:
    setting = load_setting(str(path))
    metric_ids(setting.protocol.metrics)
    _check_sets(path, (*setting.test_sources, *setting.training_sources))
    images = "no synthetic version" if setting.synthetic is None else "a synthetic version"
    return (
        f"'{setting.name}', {len(setting.tasks)} tasks, {len(setting.columns)} columns, {images}, "
        f"{len(setting.test_sources)} columns from disk, protocol {setting.protocol.id}"
    )


def _test_set(path: Path) -> str:
    found = load_ood_set(str(path))
    _check_sets(path, found.test_sources)
    return f"'{found.name}', {len(found.tasks)} tasks, {len(found.columns)} columns"


def _check_sets(path: Path, sources: tuple[TestSource | TrainingSource, ...]) -> None:
    for source in sources:
        try:
            load_data_set(source.set)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error


def _data_set(path: Path) -> str:
    spec = read_data_set(path)
    layouts = ", ".join(layout.name for layout in spec.layouts)
    return f"'{spec.name}', layouts {layouts}"


def _protocol(path: Path) -> str:
    named = load_protocol(str(path))
    metrics = metric_ids(named.protocol.metrics)
    return f"'{named.name}', rule {named.protocol.id}, metrics {', '.join(metrics)}"


def _recipe(path: Path) -> str:
    recipe = load_recipe(str(path))
    return f"'{recipe.name}', size {recipe.size}, {recipe.train.steps} steps"


def _study(path: Path) -> str:
    study = load_study(str(path), "three-task", "mini")
    return f"'{study.title}', axes {', '.join(axis.name for axis in study.axes)}"


def _request(path: Path) -> str:
    request = parse(RunRequest, read_yaml(path), str(path))
    use_own_files(request.include, request.plugins)
    setting = load_setting(request.setting)
    recipe = load_recipe(request.recipe, setting.name)
    for name in request.methods:
        find(name)
    metric_ids(request.metrics)
    return (
        f"methods {', '.join(request.methods)}, setting {setting.name}, recipe {recipe.name}, "
        f"{len(request.seeds)} seeds"
    )


FILE_KINDS = (
    FileKind("setting", Setting, _setting),
    FileKind("test set", OODSet, _test_set),
    FileKind("data set", DataSetSpec, _data_set),
    FileKind("protocol", NamedProtocol, _protocol),
    FileKind("recipe", Recipe, _recipe, ("base",)),
    FileKind("study", StudySpec, _study),
    FileKind("request", RunRequest, _request),
)
"""All kinds of YAML files that a person may write."""
