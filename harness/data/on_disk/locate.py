"""The folders of data sets on this machine, and finding one there.

The first of these that is given counts, and no other: the flag ``--data-root``, the environment
variable ``HARNESS_DATA_ROOT``, the user's configuration file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from harness.config.data_sets import DataSetSpec
from harness.config.errors import UsageError, did_you_mean
from harness.config.files import data_set_names
from harness.config.parsing import parse, read_yaml
from harness.config.spec import Spec
from harness.config.user_folders import configuration_folder, expanded
from harness.data.on_disk.found_set import FoundSet
from harness.data.on_disk.layouts import fit

ROOT_VARIABLE = "HARNESS_DATA_ROOT"


class UserConfiguration(Spec):
    """The user's file: a folder that holds data sets, and folders of single sets by name."""

    data_root: str | None = None
    sets: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class DataRoots:
    """Folders to look in.

    Attributes:
        folder: holds data sets.
        origin: the flag, variable or file that named it, for messages.
        sets: the folders of single data sets, by name.
    """

    folder: Path | None
    origin: str
    sets: Mapping[str, Path] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.folder is not None or bool(self.sets)


def configuration_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the path of the user's configuration, there or not; None without a home."""
    folder = configuration_folder(environ)
    return None if folder is None else folder / "config.yaml"


def find_data_roots(
    data_root: Path | None = None, environ: Mapping[str, str] = os.environ
) -> DataRoots:
    """Return the folders that flag, environment or file name; none of them is no error.

    Raises:
        UsageError: a folder does not exist, or the file has an unknown key or data set.
    """
    if data_root is not None:
        return DataRoots(_folder(str(data_root), "--data-root"), "--data-root")
    named = environ.get(ROOT_VARIABLE)
    if named:
        return DataRoots(_folder(named, ROOT_VARIABLE), ROOT_VARIABLE)
    path = configuration_file(environ)
    if path is None or not path.is_file():
        return DataRoots(None, "no configuration file" if path is None else str(path))
    return _roots_of(parse(UserConfiguration, read_yaml(path), str(path)), path)


def _roots_of(configuration: UserConfiguration, path: Path) -> DataRoots:
    known = data_set_names()
    sets: dict[str, Path] = {}
    for name, text in configuration.sets.items():
        if name not in known:
            raise UsageError(
                f"{path}: unknown data set '{name}' in 'sets'; {did_you_mean(name, known)}"
            )
        sets[name] = _absolute_folder(text, f"{path}: sets.{name}")
    root = configuration.data_root
    folder = None if root is None else _absolute_folder(root, f"{path}: data_root")
    return DataRoots(folder, str(path), sets)


def _absolute_folder(text: str, where: str) -> Path:
    if not expanded(Path(text), where).is_absolute():
        raise UsageError(f"{where}: '{text}' is not absolute; write the whole path or ~/…")
    return _folder(text, where)


def _folder(text: str, where: str) -> Path:
    folder = expanded(Path(text), where)
    if not folder.is_dir():
        raise UsageError(f"{where}: '{text}' is no folder; name the one that holds the data sets")
    return folder


def how_to_name_a_root(environ: Mapping[str, str] = os.environ) -> str:
    """Return the part of a sentence that says how data sets are made known."""
    file = configuration_file(environ)
    in_file = "" if file is None else f", or as data_root in {file}"
    return (
        "name the folder that holds the data sets with --data-root"
        f"{', or' if file is None else ','} with {ROOT_VARIABLE}{in_file}"
    )


def candidate_folders(spec: DataSetSpec, roots: DataRoots) -> list[Path]:
    """Return the existing folders in which a data set may be, the most certain first."""
    if spec.name in roots.sets:
        return [roots.sets[spec.name]]  # the user named it; other folders would be guesses
    if roots.folder is None:
        return []
    found: list[Path] = []
    own = roots.folder.resolve().as_posix().lower()
    is_the_set = False
    for name in (spec.name, *spec.folders):
        found += _below(roots.folder, name.split("/"))
        is_the_set = is_the_set or own.endswith("/" + name.lower())
    if is_the_set:
        found.append(roots.folder)
    return list(dict.fromkeys(found))


def _below(folder: Path, parts: list[str]) -> Iterator[Path]:
    """Yield the folders that ``parts`` lead to, letters large or small."""
    if not parts:
        yield folder
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # a folder that may not be listed holds no data set that could be read
        return
    for entry in entries:
        if entry.name.lower() == parts[0].lower() and entry.is_dir():
            yield from _below(entry, parts[1:])


def find_set(spec: DataSetSpec, roots: DataRoots) -> FoundSet | None:
    """Return a data set as it is on disk, or None where no layout fits.

    Among all folders and layouts the one with most pairs (up to the expected number) counts, then
    the one with fewest beyond that, then with fewest files unpaired or left out, then the first.

    Raises:
        HarnessError: a folder or list file cannot be read.
    """
    candidates: list[FoundSet] = []
    for folder in candidate_folders(spec, roots):
        for layout in spec.layouts:
            found = fit(spec, layout, folder)
            if found is not None:
                candidates.append(found)
    return min(candidates, key=_badness, default=None)


def _badness(found: FoundSet) -> tuple[int, int, int, int]:
    count = len(found.pairs)
    wanted = found.expected.pairs or count
    surplus = max(0, count - wanted)
    return (-min(count, wanted), surplus, len(found.unpaired), len(found.others))
