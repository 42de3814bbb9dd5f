"""All known methods: built in, from installed packages, and from plug-in files."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from harness.method import MethodSpec
from harness.registry.plugins import PLUGINS_VARIABLE, load_plugins, specs_of

_BUILT_IN = "methods.catalogue"
ENTRY_POINT_GROUP = "harness.methods"


@dataclass(frozen=True)
class Catalogue:
    """Known methods, other names for them, and plug-ins that failed, with the reason."""

    specs: Mapping[str, MethodSpec]
    aliases: Mapping[str, str]
    broken: Mapping[str, str]


def catalogue() -> Catalogue:
    """Return all methods: built in, from entry points of ``harness.methods``, and from files.

    An entry point names a :class:`MethodSpec`; of a plug-in file every spec at its top level
    counts. What cannot be imported is listed with its reason and affects nothing else.
    """
    return _catalogue(os.environ.get(PLUGINS_VARIABLE, ""))


@functools.cache
def _catalogue(plugins: str) -> Catalogue:
    built_in = importlib.import_module(_BUILT_IN)
    specs: dict[str, MethodSpec] = dict(built_in.METHODS)
    broken: dict[str, str] = {}
    _add_entry_points(specs, broken)
    modules, failed = load_plugins(plugins)
    for path, reason in failed.items():
        broken[path.stem] = reason
    for path, module in modules.items():
        for spec in specs_of(module):
            if spec.name in specs:
                broken[path.stem] = f"{path}: the name '{spec.name}' is taken"
            else:
                specs[spec.name] = spec
    return Catalogue(specs=specs, aliases=dict(built_in.ALIASES), broken=broken)


def _add_entry_points(specs: dict[str, MethodSpec], broken: dict[str, str]) -> None:
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        if point.name in specs:
            broken[point.name] = f"{point.value}: the name is taken by a built-in method"
            continue
        try:
            spec = point.load()
        except Exception as error:  # a plug-in may fail in any way
            broken[point.name] = f"{point.value}: {type(error).__name__}: {error}"
            continue
        if isinstance(spec, MethodSpec):
            specs[point.name] = spec
        else:
            broken[point.name] = f"{point.value} is not a MethodSpec"
