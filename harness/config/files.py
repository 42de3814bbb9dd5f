"""The YAML that ships: where it is, which names it has, and loading it.

Each kind has one folder below ``datasets/`` and one file per name: ``settings``, ``sets``,
``protocols`` and ``out_of_distribution``; ``photographs.yaml`` lists the embedded photographs.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.config.data_sets import DataSetSpec
from harness.config.errors import HarnessError, UsageError, did_you_mean
from harness.config.package import PACKAGE_FOLDER
from harness.config.parsing import parse, read_yaml
from harness.config.photographs import CatalogueEntry, check_split, read_catalogue
from harness.config.protocols import NamedProtocol
from harness.config.settings import OODSet, Setting

CATALOGUE = "photographs.yaml"

_OOD_NAMES_OF_0_1 = {"unseen-noise": "ood-noise"}


def datasets_folder() -> Path:
    """Return the folder of YAML that ships: inside the wheel, or ``datasets/`` of a checkout.

    Raises:
        HarnessError: the installation has no such folder.
    """
    package = PACKAGE_FOLDER
    for folder in (package / "datasets", package.parent / "datasets"):
        if (folder / CATALOGUE).is_file():
            return folder
    raise HarnessError(
        f"{package} has no folder of settings; install it again with pip install -e ."
    )


def _names(kind: str) -> list[str]:
    files = (datasets_folder() / kind).glob("*.yaml")
    return sorted(path.stem for path in files)


def _file(kind: str, name: str) -> Path:
    return datasets_folder() / kind / f"{name}.yaml"


def _check_name(name: str, path: Path) -> None:
    if name != path.stem:
        raise UsageError(f"{path} names itself '{name}'; name and file must agree")


@functools.cache
def photograph_catalogue() -> Mapping[str, CatalogueEntry]:
    """Return the embedded photographs by name."""
    return read_catalogue(datasets_folder() / CATALOGUE)


def setting_names() -> list[str]:
    """Return the names of all settings, sorted."""
    return _names("settings")


def load_setting(name: str) -> Setting:
    """Read and check the setting ``name``; a named protocol is replaced by what it says.

    Raises:
        UsageError: no such setting, an unknown key, or a scene on two sides of a split.
    """
    if name not in setting_names():
        raise UsageError(f"unknown setting '{name}'; {did_you_mean(name, setting_names())}")
    path = _file("settings", name)
    setting = parse(Setting, _with_protocol(read_yaml(path), path), str(path))
    _check_name(setting.name, path)
    check_split(photograph_catalogue(), setting.synthetic)
    return setting


def _with_protocol(content: dict[str, Any], path: Path) -> dict[str, Any]:
    named = content.get("protocol")
    if not isinstance(named, str):
        return content
    try:
        return {**content, "protocol": load_protocol(named).protocol}
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def ood_set_names() -> list[str]:
    """Return the names of all out-of-distribution test sets, sorted."""
    return _names("out_of_distribution")


def load_ood_set(name: str) -> OODSet:
    """Read an out-of-distribution test set: one that ships, or a YAML file of one's own.

    The names of version 0.1 are accepted too.

    Raises:
        UsageError: no such test set or file, or one that does not fit the schema.
    """
    name = _OOD_NAMES_OF_0_1.get(name, name)
    own = name.endswith((".yaml", ".yml"))
    if not own and name not in ood_set_names():
        raise UsageError(
            f"--test-set {name} is unknown; {did_you_mean(name, ood_set_names())}, or name a YAML "
            "file of your own"
        )
    path = Path(name) if own else _file("out_of_distribution", name)
    return parse(OODSet, read_yaml(path), str(path))


def protocol_names() -> list[str]:
    """Return the names of all protocols, sorted."""
    return _names("protocols")


def load_protocol(name: str) -> NamedProtocol:
    """Read the protocol ``name``.

    Raises:
        UsageError: no such protocol, or a file that cannot be read or names itself otherwise.
    """
    if name not in protocol_names():
        raise UsageError(f"unknown protocol '{name}'; {did_you_mean(name, protocol_names())}")
    path = _file("protocols", name)
    protocol = parse(NamedProtocol, read_yaml(path), str(path))
    _check_name(protocol.name, path)
    return protocol


def load_protocols(names: Sequence[str]) -> list[NamedProtocol]:
    """Read several protocols.

    Raises:
        UsageError: none is named, one is unknown, or two state the same rule.
    """
    if not names:
        raise UsageError(f"no protocol is named; {did_you_mean('', protocol_names())}")
    by_rule: dict[str, NamedProtocol] = {}
    for name in names:
        named = load_protocol(name)
        rule = named.protocol.id
        if rule in by_rule:
            raise UsageError(
                f"protocols '{by_rule[rule].name}' and '{name}' are one rule ({rule}); name one of "
                "them"
            )
        by_rule[rule] = named
    return list(by_rule.values())


def data_set_names() -> list[str]:
    """Return the names of all data sets, sorted."""
    return _names("sets")


@functools.cache
def load_data_set(name: str) -> DataSetSpec:
    """Read and check the data set ``name``.

    Raises:
        UsageError: no such data set, or an unknown key or value in its file; names the nearest.
    """
    if name not in data_set_names():
        raise UsageError(f"unknown data set '{name}'; {did_you_mean(name, data_set_names())}")
    return read_data_set(_file("sets", name))


def read_data_set(path: Path) -> DataSetSpec:
    """Read one data set's file; raise :class:`UsageError` that says what is wrong in it."""
    spec = parse(DataSetSpec, read_yaml(path), str(path))
    _check_name(spec.name, path)
    return spec
