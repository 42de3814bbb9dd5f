"""Plug-in files: methods, metrics and degradations of one's own in Python files."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from harness.config.errors import UsageError, reason_of
from harness.config.python_files import check_unchanged, import_python_file
from harness.config.user_folders import no_file
from harness.method import MethodSpec

PLUGINS_VARIABLE = "HARNESS_PLUGINS"
"""Environment variable with plug-in files; worker processes read it."""

_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def use_plugins(files: Sequence[Path]) -> None:
    """Add plug-in files, here and in processes that this one starts.

    Raises:
        UsageError: a file does not exist, or has changed since this process imported it.
    """
    for file in files:
        if not file.is_file():
            raise UsageError(f"--plugin {file} {no_file(file)}; check the path")
        check_unchanged(file.resolve())
    if files:
        paths = dict.fromkeys([*map(str, plugin_files()), *(str(file.resolve()) for file in files)])
        os.environ[PLUGINS_VARIABLE] = os.pathsep.join(paths)
        load_plugins.cache_clear()
    load_plugins(os.environ.get(PLUGINS_VARIABLE, ""))


def plugin_files() -> list[Path]:
    """Return the plug-in files of this process, in the order in which they were named."""
    return listed_files(os.environ.get(PLUGINS_VARIABLE, ""))


def listed_files(listed: str) -> list[Path]:
    """Return the files of a list in the environment, whose names may hold its separator."""
    parts = [part for part in listed.split(os.pathsep) if part]
    files = []
    while parts:
        count = 1
        for more in range(len(parts), 0, -1):
            if Path(os.pathsep.join(parts[:more])).is_file():
                count = more
                break
        files.append(Path(os.pathsep.join(parts[:count])))
        del parts[:count]
    return files


@functools.cache
def load_plugins(listed: str) -> tuple[dict[Path, ModuleType], dict[Path, str]]:
    """Import the files of ``listed``; return the modules, and the reasons of those that failed.

    What the files decorate (metrics, degradations) registers itself on import.
    """
    modules: dict[Path, ModuleType] = {}
    failed: dict[Path, str] = {}
    for path in listed_files(listed):
        try:
            modules[path] = import_python_file(path)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plug-in may fail in any way
            failed[path] = f"{path}: {reason_of(error)}"
    return modules, failed


def specs_of(module: ModuleType) -> list[MethodSpec]:
    """Return every method spec at the top level of a plug-in, each name once.

    A ``build`` that names the file's own module is made to mean the module as it was imported.
    """
    path = Path(str(module.__file__))
    found: dict[str, MethodSpec] = {}
    for value in vars(module).values():
        if isinstance(value, MethodSpec):
            build = value.build
            if build.partition(":")[0] == path.stem:
                build = f"{module.__name__}:{build.partition(':')[2]}"
            found[value.name] = dataclasses.replace(value, build=build, source_file=str(path))
    return list(found.values())


def problem_of(spec: MethodSpec) -> str:
    """Return why a spec of a plug-in cannot be used; empty if nothing is wrong."""
    if not _NAME.fullmatch(str(spec.name)):
        return f"the name '{spec.name}' holds signs other than letters, digits, '.', '_' and '-'"
    if not isinstance(spec.options, type) or not dataclasses.is_dataclass(spec.options):
        return f"{spec.name}: its options are not a dataclass type; write @dataclass(frozen=True)"
    if not re.fullmatch(r"[\w.]+:\w+", str(spec.build)):
        return f"{spec.name}: build='{spec.build}' is not module:function"
    return ""


def uses_harness(module: ModuleType) -> bool:
    """Return whether a file imports something of this project, and so can have added something."""
    for value in vars(module).values():
        if str(getattr(value, "__module__", "")).startswith("harness."):
            return True
    return False
