"""Versions of the packages that this project is tested with.

    python .ci/pins.py tested > .ci/constraints.txt   # those of this environment
    python .ci/pins.py lowest > lowest.txt            # the lowest that pyproject.toml declares

Both are constraints: ``pip install -c FILE -e '.[test]'``.
"""

from __future__ import annotations

import itertools
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = "restoration-harness"


def declared(root: Path = ROOT) -> list[Requirement]:
    """Return what pyproject.toml asks for, extras included, itself left out."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        lines += extra
    requirements = map(Requirement, lines)
    return [asked for asked in requirements if canonicalize_name(asked.name) != PROJECT]


def lowest(requirements: Iterable[Requirement]) -> dict[str, Version]:
    """Return the lowest version that is asked for of each package.

    Raises:
        ValueError: a requirement has no lower bound, or two of one package differ in it.
    """
    found: dict[str, Version] = {}
    for asked in requirements:
        is_bound = [part.operator in (">=", "==") for part in asked.specifier]
        bounds = [Version(part.version) for part in itertools.compress(asked.specifier, is_bound)]
        name = canonicalize_name(asked.name)
        if not bounds or found.setdefault(name, max(bounds)) != max(bounds):
            raise ValueError(f"pyproject.toml needs one lower bound of {asked.name}, not '{asked}'")
    return found


def tested(requirements: Iterable[Requirement]) -> tuple[dict[str, Version], list[str]]:
    """Return the installed version of each package that is asked for, or that one of these needs.

    The second value names packages that are asked for and not installed.
    """
    found: dict[str, Version] = {}
    absent = set()
    waiting = [asked for asked in requirements if _is_for_here(asked)]
    direct = {canonicalize_name(asked.name) for asked in waiting}
    seen = set()
    while waiting:
        asked = waiting.pop()
        name, extras = canonicalize_name(asked.name), frozenset(asked.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            absent |= {name} & direct
            continue
        found[name] = Version(Version(package.version).public)
        needed = map(Requirement, package.requires or ())
        waiting += [other for other in needed if _is_for_here(other, extras)]
    return found, sorted(absent)


def _is_for_here(asked: Requirement, extras: Iterable[str] = ()) -> bool:
    """Return whether a requirement holds on this machine, with some extras of what asks for it."""
    if asked.marker is None:
        return True
    return any(asked.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def main(words: list[str]) -> None:
    """Print constraints."""
    if words == ["lowest"]:
        print("# The lowest versions that pyproject.toml declares; made by .ci/pins.py.")
        pins = lowest(declared())
    elif words == ["tested"]:
        print("# The versions that the tests were run with: what pyproject.toml asks for with all")
        print("# extras, and what that needs. Made by: python .ci/pins.py tested")
        pins, absent = tested(declared())
        if absent:
            sys.exit(f"not installed here: {', '.join(absent)}; install them first")
    else:
        sys.exit(__doc__)
    for name, version in sorted(pins.items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main(sys.argv[1:])
