"""Installed packages: those that everybody needs, and those of optional parts.

What is needed is read from ``pyproject.toml`` of a checkout, or from the metadata of the installed
package, so that nothing here lists it again. No package is imported.
"""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from harness.api.diagnosis.finding import Finding
from harness.config.package import PACKAGE_FOLDER
from harness.config.version import __version__

DISTRIBUTION = "restoration-harness"

_USES = {
    "tensorboard": "--tracker tensorboard",
    "wandb": "--tracker wandb",
    "noncommercial": "networks whose authors allow no commercial use",
    "photographs": "more photographs to test on",
    "demo": "the local page of python -m harness demo",
    "tune": "searches of options",
}
"""What an optional part is for; others are shown by their name alone."""

_DEVELOPMENT = ("test", "dev", "docs")
"""Parts for those who work on the harness, which are not shown."""


def versions() -> list[Finding]:
    """Return the versions of the harness, of Python, and of all packages that everybody needs."""
    found = [
        Finding("versions", "harness", f"{__version__} in {PACKAGE_FOLDER}"),
        Finding("versions", "python", platform.python_version()),
        Finding("versions", "system", platform.platform()),
    ]
    requirements = dict(_requirements()).get("", [])
    if not requirements:
        advice = f"install it with: pip install {DISTRIBUTION}"
        found.append(
            Finding("versions", "packages", "it is not known what is needed", "broken", advice)
        )
    for requirement in requirements:
        value, is_fine = _installed(requirement)
        if is_fine:
            found.append(Finding("versions", requirement.name, value))
            continue
        advice = f"install it with: pip install '{_text(requirement)}'"
        found.append(Finding("versions", requirement.name, value, "broken", advice))
    return found


def optional_parts() -> list[Finding]:
    """Return which optional parts are installed, and how to install the others."""
    found: list[Finding] = []
    for part, requirements in _requirements():
        if part == "" or part in _DEVELOPMENT:
            continue
        values: list[str] = []
        is_whole = True
        for requirement in requirements:
            value, is_fine = _installed(requirement)
            is_whole = is_whole and is_fine
            values.append(f"{requirement.name} {value}")
        value = ", ".join(values)
        if is_whole:
            found.append(Finding("optional parts", part, value))
            continue
        texts = [f"'{_text(requirement)}'" for requirement in requirements]
        advice = f"for {_USES.get(part, part)}: pip install {' '.join(texts)}"
        found.append(Finding("optional parts", part, value, "absent", advice))
    return found


def _installed(requirement: Requirement) -> tuple[str, bool]:
    """Return the version of a package in words, and whether it is one that is asked for."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return "not installed", False
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{version}, not {requirement.specifier}", False
    return version, True


def _text(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"


def _requirements() -> Iterator[tuple[str, list[Requirement]]]:
    """Yield what each optional part requires by its name, and first, as "", what everybody does."""
    file = PACKAGE_FOLDER.parent / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        yield "", list(map(Requirement, project["dependencies"]))
        for part, texts in project["optional-dependencies"].items():
            yield part, list(map(Requirement, texts))
        return
    try:
        about = metadata.metadata(DISTRIBUTION)
        required = list(map(Requirement, metadata.requires(DISTRIBUTION) or []))
    except metadata.PackageNotFoundError:
        return
    for part in ("", *(about.get_all("Provides-Extra") or [])):
        yield part, [one for one in required if _belongs(one, part)]


def _belongs(requirement: Requirement, part: str) -> bool:
    """Return whether a requirement of the metadata is one of ``part``."""
    marker = requirement.marker
    if marker is None:
        return part == ""
    needed_anyway = marker.evaluate({"extra": ""})
    return needed_anyway if part == "" else marker.evaluate({"extra": part}) and not needed_anyway
