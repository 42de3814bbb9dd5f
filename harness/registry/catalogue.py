"""All known methods: built in, from installed packages, and from plug-in files."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Protocol

from harness.config.errors import UsageError, reason_of
from harness.config.package import PACKAGE_FOLDER
from harness.method import MethodSpec
from harness.registry.plugins import (
    PLUGINS_VARIABLE,
    load_plugins,
    problem_of,
    specs_of,
    uses_harness,
)

_BUILT_IN = "methods.catalogue"
ENTRY_POINT_GROUP = "harness.methods"


@dataclass(frozen=True)
class Catalogue:
    """Known methods, other names for them, and plug-ins that failed, with the reason.

    ``pretrainings`` make the spec of a method with a stage of pre-training, by their names.
    """

    specs: Mapping[str, MethodSpec]
    aliases: Mapping[str, str]
    broken: Mapping[str, str]
    pretrainings: Mapping[str, Callable[[MethodSpec], MethodSpec]]


class RuntimeCheck(Protocol):
    """What a check of the built-in methods found on this machine."""

    @property
    def name(self) -> str:
        """What was checked."""
        ...

    @property
    def value(self) -> str:
        """What was found."""
        ...

    @property
    def is_fast(self) -> bool:
        """Whether the fast way of computing is taken."""
        ...

    @property
    def advice(self) -> str:
        """What to do where it is not."""
        ...


def runtime_checks() -> list[RuntimeCheck]:
    """Return what the built-in methods need of a machine besides torch, as far as it is there."""
    return [check() for check in _built_in().RUNTIME_CHECKS]


def catalogue() -> Catalogue:
    """Return all methods: built in, from entry points of ``harness.methods``, and from files.

    An entry point names a :class:`MethodSpec`; of a plug-in file every spec at its top level
    counts. What cannot be imported is listed with its reason and affects nothing else.
    """
    return known_methods(os.environ.get(PLUGINS_VARIABLE, ""))


@functools.cache
def known_methods(plugins: str) -> Catalogue:
    """Return the methods that are known with the plug-in files of ``plugins``."""
    built_in = _built_in()
    specs: dict[str, MethodSpec] = dict(built_in.METHODS)
    broken: dict[str, str] = {}
    _add_entry_points(specs, broken)
    modules, failed = load_plugins(plugins)
    for path, reason in failed.items():
        broken[path.stem] = reason
    for path, module in modules.items():
        specs_of_file = specs_of(module)
        if not specs_of_file and not uses_harness(module):
            broken[path.stem] = f"{path} holds no MethodSpec and imports nothing of harness"
        for spec in specs_of_file:
            if problem_of(spec):
                broken[path.stem] = f"{path}: {problem_of(spec)}"
            elif spec.name in specs:
                broken[path.stem] = f"{path}: the name '{spec.name}' is taken"
            else:
                specs[spec.name] = spec
    return Catalogue(
        specs=specs,
        aliases=dict(built_in.ALIASES),
        broken=broken,
        pretrainings=dict(built_in.PRETRAININGS),
    )


def _built_in() -> ModuleType:
    """Import the built-in methods, which are next to this package.

    Raises:
        UsageError: another package called ``methods`` is imported already.
    """
    folder = PACKAGE_FOLDER.parent / "methods"
    found = sys.modules.get("methods")
    if found is None:
        spec = importlib.util.spec_from_file_location(
            "methods", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        sys.modules["methods"] = found
        spec.loader.exec_module(found)
    if str(folder) not in list(getattr(found, "__path__", [])):
        file = getattr(found, "__file__", "another folder")
        raise UsageError(
            f"a module called 'methods' is imported from {file} and hides the "
            "built-in methods; rename it"
        )
    return importlib.import_module(_BUILT_IN)


def _add_entry_points(specs: dict[str, MethodSpec], broken: dict[str, str]) -> None:
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if point.name in specs:
            broken[point.name] = f"{point.value}: the name is taken by a built-in method"
            continue
        try:
            spec = point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plug-in may fail in any way
            broken[point.name] = f"{point.value}: {reason_of(error)}"
            continue
        if not isinstance(spec, MethodSpec):
            broken[point.name] = f"{point.value} is not a MethodSpec"
        elif problem_of(spec):
            broken[point.name] = f"{point.value}: {problem_of(spec)}"
        else:
            specs[point.name] = spec
