"""Loading settings, data sets, protocols and test sets: by name, or from a file of one's own."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.config.data_sets import DataSetSpec
from harness.config.errors import UsageError, did_you_mean
from harness.config.folders import (
    CATALOGUE,
    KINDS,
    datasets_folder,
    files_by_name,
    is_file_name,
    locate,
    shipped_files,
)
from harness.config.parsing import parse, read_yaml
from harness.config.photographs import (
    CatalogueEntry,
    PhotographPackage,
    check_split,
    read_catalogue,
    read_packages,
)
from harness.config.protocols import NamedProtocol, Protocol
from harness.config.settings import OODSet, Setting

__all__ = [
    "data_set_names",
    "datasets_folder",
    "load_data_set",
    "load_ood_set",
    "load_protocol",
    "load_protocols",
    "load_setting",
    "ood_set_names",
    "photograph_catalogue",
    "photograph_packages",
    "protocol_names",
    "read_data_set",
    "setting_names",
    "shipped_setting_names",
]


_OOD_NAMES_OF_0_1 = {"unseen-noise": "ood-noise"}


@functools.cache
def photograph_catalogue() -> Mapping[str, CatalogueEntry]:
    """Return the embedded photographs by name."""
    return read_catalogue(datasets_folder() / CATALOGUE)


@functools.cache
def photograph_packages() -> Mapping[str, PhotographPackage]:
    """Return the optional packages of photographs by name."""
    return read_packages(datasets_folder() / CATALOGUE)


def setting_names() -> list[str]:
    """Return the names of all settings, sorted."""
    return list(files_by_name("settings"))


def shipped_setting_names() -> list[str]:
    """Return the names of the settings that ship, sorted."""
    return list(shipped_files("settings"))


def load_setting(name: str) -> Setting:
    """Read and check a setting by name, or from a YAML file of one's own.

    ``protocol`` may be the name or file of a protocol, ``synthetic`` and ``preprocessing`` the
    name of a setting whose own are meant; they are replaced by what they name.

    Raises:
        UsageError: no such setting, an unknown key, a scene on two sides of a split, or a name or
            an id that something else ships under.
    """
    path = locate("settings", name)
    setting = parse(Setting, _resolved(read_yaml(path), path), str(path))
    _check_name("settings", setting.name, path)
    if setting.synthetic is not None:
        check_split(photograph_catalogue(), setting.synthetic)
    if not _ships("settings", path):
        _check_protocol_id(setting.protocol, path)
        _check_preprocessing_id(setting, path)
    return setting


def _resolved(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Replace names of a protocol and of a setting's parts by what they name."""
    found = dict(content)
    try:
        if isinstance(content.get("protocol"), str):
            found["protocol"] = load_protocol(_beside(content["protocol"], path)).protocol
        for key in ("synthetic", "preprocessing"):
            if isinstance(content.get(key), str):
                found[key] = _part_of_setting(content[key], key, path)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return found


def _part_of_setting(name: str, key: str, path: Path) -> Any:
    if name not in shipped_setting_names():
        raise UsageError(
            f"'{key}': unknown setting '{name}'; {did_you_mean(name, shipped_setting_names())}"
        )
    return getattr(load_setting(name), key)


def _beside(name: str, path: Path) -> str:
    """Return a file that is named in another one, as it is found from here."""
    return str(path.parent / Path(name).expanduser()) if is_file_name(name) else name


def ood_set_names() -> list[str]:
    """Return the names of all out-of-distribution test sets, sorted."""
    return list(files_by_name("out_of_distribution"))


def load_ood_set(name: str) -> OODSet:
    """Read an out-of-distribution test set by name, or from a YAML file of one's own.

    The names of version 0.1 are accepted too.

    Raises:
        UsageError: no such test set or file, or one that does not fit the schema.
    """
    present = _OOD_NAMES_OF_0_1.get(name, name)
    path = locate("out_of_distribution", present, flag="--test-set")
    found = parse(OODSet, read_yaml(path), str(path))
    _check_name("out_of_distribution", found.name, path)
    return found


def protocol_names() -> list[str]:
    """Return the names of all protocols, sorted."""
    return list(files_by_name("protocols"))


def load_protocol(name: str) -> NamedProtocol:
    """Read a protocol by name, or from a YAML file of one's own.

    Raises:
        UsageError: no such protocol, a file that cannot be read or names itself otherwise, or an
            id that another rule has.
    """
    path = locate("protocols", name)
    found = parse(NamedProtocol, read_yaml(path), str(path))
    _check_name("protocols", found.name, path)
    if not _ships("protocols", path):
        _check_protocol_id(found.protocol, path)
    return found


def load_protocols(names: Sequence[str]) -> list[NamedProtocol]:
    """Read several protocols.

    Raises:
        UsageError: none is named, one is unknown, or two state the same rule or have one id.
    """
    if not names:
        raise UsageError(f"no protocol is named; {did_you_mean('', protocol_names())}")
    by_rule: dict[str, NamedProtocol] = {}
    for name in names:
        named = load_protocol(name)
        rule = named.protocol.id
        if rule in by_rule:
            raise UsageError(
                f"protocols '{by_rule[rule].name}' and '{named.name}' are one rule ({rule}); name "
                "one of them"
            )
        by_rule[rule] = named
    return list(by_rule.values())


def data_set_names() -> list[str]:
    """Return the names of all data sets, sorted."""
    return list(files_by_name("sets"))


def load_data_set(name: str) -> DataSetSpec:
    """Read and check the data set ``name``.

    Raises:
        UsageError: no such data set, or an unknown key or value in its file; names the nearest.
    """
    known = files_by_name("sets")
    if name not in known:
        raise UsageError(
            f"unknown data set '{name}'; {did_you_mean(name, known)}, or add the folder of your "
            "own with --include DIR"
        )
    return _read_once(known[name], known[name].stat().st_mtime_ns)


@functools.cache
def _read_once(path: Path, changed_ns: int) -> DataSetSpec:
    return read_data_set(path)


def read_data_set(path: Path) -> DataSetSpec:
    """Read one data set's file; raise :class:`UsageError` that says what is wrong in it."""
    spec = parse(DataSetSpec, read_yaml(path), str(path))
    if spec.name != path.stem:
        raise UsageError(f"{path} names itself '{spec.name}'; name and file must agree")
    return spec


def _ships(kind: str, path: Path) -> bool:
    return path.parent == datasets_folder() / kind


def _check_name(kind: str, name: str, path: Path) -> None:
    """Refuse a file among others that is not called by its name, and a name that is taken."""
    known = files_by_name(kind)
    if known.get(path.stem) == path:
        if name != path.stem:
            raise UsageError(f"{path} names itself '{name}'; name and file must agree")
        return
    taken = known.get(name)
    if taken is not None and not _says_the_same(taken, path):
        raise UsageError(
            f"{path} names itself '{name}', and {taken} is another {KINDS[kind]} of that name; "
            "choose another name"
        )


def _says_the_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or read_yaml(one) == read_yaml(other)


def _check_protocol_id(protocol: Protocol, path: Path) -> None:
    """Refuse an id that results of another rule carry."""
    for name, file in shipped_files("protocols").items():
        known = parse(NamedProtocol, read_yaml(file), str(file)).protocol
        if known.id == protocol.id and known != protocol:
            raise UsageError(
                f"{path}: the id '{protocol.id}' belongs to protocol {name}, which is another "
                "rule; choose another id"
            )


def _check_preprocessing_id(setting: Setting, path: Path) -> None:
    own = setting.preprocessing
    for name in shipped_setting_names():
        known = load_setting(name).preprocessing
        if known.id == own.id and known != own:
            raise UsageError(
                f"{path}: the id '{own.id}' belongs to the preprocessing of {name}, which is "
                "another rule; choose another id"
            )
