"""Where a person keeps data sets, and finding one there.

The first of these that is given counts, alone: the flag ``--data-root``, the environment variable
``HARNESS_DATA_ROOT``, the user's configuration file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from harness.config.data_sets import DataSetSpec, data_set_names
from harness.config.errors import UsageError, did_you_mean
from harness.config.parsing import parse, read_yaml
from harness.config.spec import Spec
from harness.data.on_disk.layouts import FoundSet, fit

ROOT_VARIABLE = "HARNESS_DATA_ROOT"


class UserConfiguration(Spec):
    """The user's file: a folder that holds data sets, and folders of single sets by name."""

    data_root: str | None = None
    sets: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class DataRoots:
    """Places to look in: ``folder`` holds sets, ``sets`` says where single ones lie.

    ``origin`` is the flag, variable or file that said so, for messages.
    """

    folder: Path | None
    origin: str
    sets: Mapping[str, Path] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.folder is not None or bool(self.sets)


def configuration_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the user's configuration lies, whether it exists or not."""
    base = environ.get("XDG_CONFIG_HOME")
    home = Path(base) if base else Path("~/.config").expanduser()
    return home / "restoration-harness" / "config.yaml"


def find_data_roots(
    data_root: Path | None = None, environ: Mapping[str, str] = os.environ
) -> DataRoots:
    """Return the places that flag, environment or file name; none of them is no error.

    Raises:
        UsageError: a folder does not exist, or the file has an unknown key or data set.
    """
    if data_root is not None:
        return DataRoots(_folder(str(data_root), "--data-root"), "--data-root")
    given = environ.get(ROOT_VARIABLE)
    if given:
        return DataRoots(_folder(given, ROOT_VARIABLE), ROOT_VARIABLE)
    path = configuration_file(environ)
    if not path.is_file():
        return DataRoots(None, str(path))
    content = parse(UserConfiguration, read_yaml(path), str(path))
    sets = {}
    for name, place in content.sets.items():
        if name not in data_set_names():
            raise UsageError(
                f"{path}: unknown data set '{name}' in 'sets'; {did_you_mean(name, data_set_names())}"
            )
        sets[name] = _folder(place, f"{path}: sets.{name}", absolute=True)
    root = content.data_root
    folder = None if root is None else _folder(root, f"{path}: data_root", absolute=True)
    return DataRoots(folder, str(path), sets)


def _folder(text: str, where: str, absolute: bool = False) -> Path:
    folder = Path(text).expanduser()
    if absolute and not folder.is_absolute():
        raise UsageError(f"{where}: '{text}' is not absolute; write the whole path or ~/…")
    if not folder.is_dir():
        raise UsageError(f"{where}: '{text}' is no folder; name the one that holds the data sets")
    return folder


def how_to_name_a_root(environ: Mapping[str, str] = os.environ) -> str:
    """Return the part of a sentence that says how data is made known."""
    return (
        f"name the folder that holds the data sets with --data-root, with {ROOT_VARIABLE}, or as "
        f"data_root in {configuration_file(environ)}"
    )


def places(card: DataSetSpec, roots: DataRoots) -> list[Path]:
    """Return the existing folders in which ``card`` may lie, the most certain first."""
    if card.name in roots.sets:
        return [roots.sets[card.name]]  # the person said so; other places would be guesses
    if roots.folder is None:
        return []
    names = [card.name, *card.folders]
    found = [path for name in names for path in _below(roots.folder, name.split("/"))]
    own = roots.folder.resolve().as_posix().lower()
    if any(own.endswith("/" + name.lower()) for name in names):
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


def find_set(card: DataSetSpec, roots: DataRoots) -> FoundSet | None:
    """Return the data set of ``card`` on disk, or None where no layout fits.

    Among all places and layouts the one with most pairs (up to the expected number) counts, then
    the one with fewest beyond that, then with fewest files unpaired or left out, then the first.

    Raises:
        HarnessError: a folder or list file cannot be read.
    """
    candidates = [
        found
        for place in places(card, roots)
        for layout in card.layouts
        if (found := fit(card, layout, place)) is not None
    ]
    return min(candidates, key=_badness, default=None)


def _badness(found: FoundSet) -> tuple[int, int, int, int]:
    count = len(found.pairs)
    wanted = found.expected.pairs or count
    surplus = max(0, count - wanted)
    return (-min(count, wanted), surplus, len(found.unpaired), len(found.others))
