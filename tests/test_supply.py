"""Packages: bounds, tested versions and licences."""

from __future__ import annotations

import importlib.util
import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"

FAMILIES = {
    "MIT": r"\bMIT\b|\bHPND\b|MIT-CMU",
    "BSD": r"BSD",
    "Apache": r"Apache",
    "MPL": r"\bMPL\b|Mozilla",
    "PSF": r"\bPSF\b|Python Software Foundation",
    "ISC": r"\bISC\b",
    "GPL": r"GPL|GNU",
    "non-commercial": r"non-?commercial|S-Lab",
    "proprietary": r"NVIDIA|Proprietary",
}
"""What a licence is called, by the family that asks the same of a user."""

FREE = {"MIT", "BSD", "Apache", "ISC", "PSF"}


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pins = _module(ROOT / ".ci" / "pins.py")
DECLARED = pins.declared()
LOWEST = pins.lowest(DECLARED)


def constraints() -> dict[str, Version]:
    found = {}
    for line in CONSTRAINTS.read_text().splitlines():
        if not line.startswith("#"):
            name, _, version = line.partition("==")
            found[name] = Version(version)
    return found


def licences() -> dict[str, str]:
    """Return what the page says of each package in a row of its tables."""
    text = (ROOT / "docs" / "licences.md").read_text()
    return dict(re.findall(r"^\| `([\w-]+)` \| (.+?) \|", text, re.MULTILINE))


def families(text: str) -> set[str]:
    return {family for family, words in FAMILIES.items() if re.search(words, text, re.IGNORECASE)}


def stated(about: PackageMetadata) -> str:
    """Return the licence that a package states: an expression, classifiers, or a short text."""
    expression = about.get("License-Expression")
    classifiers = [line for line in about.get_all("Classifier") or [] if line.startswith("License")]
    own = (about.get("License") or "").partition("\n")[0]
    known = [text for text in (expression, " ".join(classifiers), own) if families(text or "")]
    return known[0] if known else ""


# --- versions ------------------------------------------------------------------------------


def test_tested_versions_are_those_of_every_package_that_is_asked_for() -> None:
    tested = constraints()
    assert LOWEST.keys() <= tested.keys()
    for asked in DECLARED:
        version = tested[pins.canonicalize_name(asked.name)]
        assert asked.specifier.contains(version), f"{asked} is not {version}; make {CONSTRAINTS}"


def test_tested_versions_are_in_order_and_hold_everywhere() -> None:
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(set(names))
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.!]+", line) for line in lines)


def test_versions_of_an_environment_include_what_packages_need() -> None:
    found, absent = pins.tested([Requirement("pytest>=8"), Requirement("no-such-package>=1")])
    assert found["pytest"] == Version(metadata("pytest")["Version"])
    assert "pluggy" in found
    assert absent == ["no-such-package"]


def test_markers_and_extras_of_an_environment_are_followed() -> None:
    absent_here = Requirement("no-such-package>=1; python_version < '3'")
    assert pins.tested([absent_here]) == ({}, [])
    plain = pins.tested([Requirement("mkdocstrings>=0")])[0]
    with_extra = pins.tested([Requirement("mkdocstrings[python]>=0")])[0]
    assert "mkdocstrings-python" in with_extra.keys() - plain.keys()


def test_lowest_versions_are_the_bounds() -> None:
    asked = [Requirement("one>=1.2,<3"), Requirement("Two_x==0.5"), Requirement("one>=1.2")]
    assert pins.lowest(asked) == {"one": Version("1.2"), "two-x": Version("0.5")}


@pytest.mark.parametrize("lines", [["one"], ["one<3"], ["one>=1", "one>=2"]])
def test_a_package_without_one_lower_bound_is_named(lines: list[str]) -> None:
    with pytest.raises(ValueError, match="lower bound of one"):
        pins.lowest(map(Requirement, lines))


# --- licences ------------------------------------------------------------------------------


def test_the_page_has_what_is_asked_for_and_nothing_else() -> None:
    assert licences().keys() == LOWEST.keys()


@pytest.mark.parametrize("name", sorted(LOWEST))
def test_a_licence_is_the_one_that_the_package_states(name: str) -> None:
    try:
        about = metadata(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    if Version(about["Version"]) < constraints()[name]:
        pytest.skip(f"{name} is older than what the page is about")
    own = stated(about)
    page = licences()[name]
    assert families(page), f"the page says nothing of {name}"
    if own:
        # The page may add what the metadata leaves out, as of single architectures.
        assert families(own) <= families(page), f"{name}: {own}"
        assert families(own) & FREE or families(own) == families(page), f"{name}: {own}"


def test_what_is_not_free_for_all_is_named() -> None:
    text = (ROOT / "docs" / "licences.md").read_text()
    unnamed = []
    for name in constraints():
        try:
            own = families(stated(metadata(name)))
        except PackageNotFoundError:
            continue
        is_named = f"`{name}`" in text or name.startswith("nvidia-")
        if not is_named and not (own and own <= FREE):
            unnamed.append((name, own))
    assert not unnamed


def test_no_package_is_under_the_gpl() -> None:
    found = {}
    for name in constraints():
        try:
            found[name] = families(stated(metadata(name)))
        except PackageNotFoundError:
            continue
    assert len(found) > 20
    assert not [name for name, own in found.items() if "GPL" in own]
