"""How a degraded or restored file names its clean one: one table of rules, and pairing folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import UsageError, did_you_mean
from harness.data.on_disk.names import (
    compared,
    compared_name,
    compared_stem,
    is_image,
    is_utf8,
    readable,
)


@dataclass(frozen=True)
class PairingRule:
    """From the name of a degraded file to that of its clean one.

    Attributes:
        name: what YAML and ``--pairing`` call it.
        about: one line to be shown.
        clean_stem: from a degraded file's stem to its clean file's; None where it does not fit.
        compares_suffix: whether both files must have the same suffix.
        one_each: whether every clean file has one degraded file in each group.
        short_name: another name for ``--pairing``.
        one_clean: whether all files of a folder share the one clean file there is. Only a layout
            may ask for that, because it says which files those are.
    """

    name: str
    about: str
    clean_stem: Callable[[str], str | None]
    compares_suffix: bool = False
    one_each: bool = False
    short_name: str | None = None
    one_clean: bool = False

    @property
    def flag(self) -> str:
        """The flag that asks for the rule."""
        kind, _, template = self.name.partition("template ")
        return (
            f"--pairing {self.short_name or self.name}" if kind else f"--pair-template '{template}'"
        )

    def key(self, clean: Path) -> str:
        """Return what a clean file is looked up by."""
        if self.one_clean:
            return _ONLY
        return compared_name(clean) if self.compares_suffix else compared_stem(clean)

    def clean_key(self, degraded: Path) -> str | None:
        """Return the key of a degraded file's clean one, None where the rule does not fit."""
        if self.one_clean:
            return _ONLY
        stem = self.clean_stem(compared_stem(degraded))
        if stem is None:
            return None
        return stem + degraded.suffix.lower() if self.compares_suffix else compared(stem)


_ONLY = "the one clean image"
"""The key of a folder's only clean file."""


def _same(stem: str) -> str:
    return stem


def _before_underscore(stem: str) -> str | None:
    before, underscore, _ = stem.partition("_")
    return before if underscore else None


def _first_seven(stem: str) -> str | None:
    return stem[:7] if len(stem) >= 7 else None


def _norain(stem: str) -> str | None:
    return f"no{stem}" if stem.startswith("rain") else None


def _clean_of_rain(stem: str) -> str | None:
    ending = "_rain"
    return stem.removesuffix(ending) + "_clean" if stem.endswith(ending) else None


_TABLE = (
    PairingRule(
        "same-name", "1.png and 1.png, or 1.PNG", _same, compares_suffix=True, one_each=True
    ),
    PairingRule(
        "same-stem",
        "the same name, suffixes aside: 1.jpg and 1.png",
        _same,
        one_each=True,
        short_name="stem",
    ),
    PairingRule(
        "prefix-before-underscore",
        "the name up to its first underscore, as in SOTS: 0001_0.8_0.2 and 0001",
        _before_underscore,
        short_name="prefix",
    ),
    PairingRule(
        "first-seven-characters",
        "the first seven characters, as in Outdoor-Rain: im_0001_s80_a04 and im_0001",
        _first_seven,
    ),
    PairingRule(
        "rain-to-norain", "rain-7 and norain-7, as in Rain100L", _norain, short_name="rain"
    ),
    PairingRule("rain-to-clean", "7_rain and 7_clean, as in RainDrop", _clean_of_rain),
    PairingRule(
        "one-clean",
        "every frame of a scene and its one clean image, as in WeatherStream",
        _same,
        one_clean=True,
    ),
)


def _by_name() -> dict[str, PairingRule]:
    rules = {}
    for rule in _TABLE:
        if rule.short_name is not None:
            rules[rule.short_name] = rule
    for rule in _TABLE:
        rules[rule.name] = rule
    return rules


RULES = _by_name()
"""The rules by name, short names first; a layout names one, and so does ``--pairing``,
but for those of one clean file."""


@dataclass(frozen=True)
class Pairing:
    """Pairs of (restored, clean) files by name, and the files that found no partner."""

    pairs: tuple[tuple[Path, Path], ...]
    restored_alone: tuple[Path, ...]
    clean_alone: tuple[Path, ...]


def find_rule(name: str) -> PairingRule:
    """Return a rule of the table by one of its names.

    Raises:
        UsageError: there is none; the nearest is named.
    """
    known = _rules_of_names()
    if name not in known:
        raise UsageError(f"--pairing {name} is no rule; {did_you_mean(name, known)}")
    return known[name]


def _rules_of_names() -> dict[str, PairingRule]:
    """Return the rules that say by its name which clean file a file has."""
    return {name: rule for name, rule in RULES.items() if not rule.one_clean}


def pair_folders(restored: Path, clean: Path, rule: str | PairingRule) -> Pairing:
    """Pair the images of two folders (not of folders inside them) under a rule or a named one.

    A restored file may also have its clean file's own name.

    Raises:
        UsageError: the rule is unknown, a folder is missing or holds no image, a name is not
            UTF-8, two files of one folder share a name, or nothing pairs; then the rule that would
            pair most is named.
    """
    chosen = find_rule(rule) if isinstance(rule, str) else rule
    restored_files = image_files(restored, "--restored")
    clean_files = image_files(clean, "--clean")
    found = _paired(restored_files, clean_files, chosen)
    if not found.pairs:
        raise UsageError(
            f"no image of {restored} (such as {restored_files[0].name}) pairs with one of {clean} "
            f"(such as {clean_files[0].name}) under {chosen.flag} ({chosen.about}); "
            f"{_hint(restored_files, clean_files)}"
        )
    return found


def _hint(restored: Sequence[Path], clean: Sequence[Path]) -> str:
    best, most = "", 0
    for name, rule in _rules_of_names().items():
        count = len(_paired(restored, clean, rule).pairs)
        if count > most:
            best, most = name, count
    if most:
        return f"--pairing {best} would pair {most}"
    return "no rule pairs them; say how they are named, as in --pair-template '{name}x4_Model'"


def _paired(restored: Sequence[Path], clean: Sequence[Path], rule: PairingRule) -> Pairing:
    _check_distinct(restored)
    _check_distinct(clean)
    by_key = {rule.key(path): path for path in clean}
    pairs: list[tuple[Path, Path]] = []
    alone: list[Path] = []
    for path in restored:
        partner = by_key.get(rule.clean_key(path) or "") or by_key.get(rule.key(path))
        if partner is None:
            alone.append(path)
        else:
            pairs.append((path, partner))
    used = {partner for _, partner in pairs}
    left = [path for path in clean if path not in used]
    return Pairing(tuple(pairs), tuple(alone), tuple(left))


def _check_distinct(paths: Sequence[Path]) -> None:
    first_of: dict[str, Path] = {}
    for path in paths:
        first = first_of.setdefault(compared_stem(path), path)
        if first is not path:
            raise UsageError(
                f"{first.name} and {path.name} in {path.parent} claim the same partner; remove one"
            )


def image_files(folder: Path, flag: str) -> list[Path]:
    """Return the images directly in ``folder``, 2 before 10; other files are passed over.

    Raises:
        UsageError: the folder is missing or holds none; ``flag`` is named in the message.
    """
    if not folder.is_dir():
        raise UsageError(f"{flag} {folder} is not a folder; check the path")
    found = [path for path in folder.iterdir() if is_image(path) and path.is_file()]
    if not found:
        raise UsageError(f"{flag} {folder} holds no image; name the folder that holds the files")
    for path in found:
        if not is_utf8(path.name):
            raise UsageError(f"{flag}: the name of {readable(path)} is not UTF-8; rename the file")
    return sorted(found, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
