"""Which clean image belongs to which restored one, by the names of their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class PairingRule:
    """Two files belong together when the keys of their stems are equal."""

    about: str
    restored_key: Callable[[str], str]
    clean_key: Callable[[str], str]


def _same(stem: str) -> str:
    return stem


def _before_underscore(stem: str) -> str:
    return stem.partition("_")[0]


def _without_no(stem: str) -> str:
    return stem.removeprefix("no")


RULES = {
    "stem": PairingRule("the same name, extensions aside", _same, _same),
    "prefix": PairingRule(
        "the restored name up to its first underscore is the clean name, as in SOTS: "
        "0001_0.8_0.2 and 0001",
        _before_underscore,
        _same,
    ),
    "rain": PairingRule("rain-7 and norain-7, as in Rain100L", _without_no, _without_no),
}


@dataclass(frozen=True)
class Pairing:
    """Pairs of (restored, clean) files by name, and the files that found no partner."""

    pairs: tuple[tuple[Path, Path], ...]
    restored_alone: tuple[Path, ...]
    clean_alone: tuple[Path, ...]


def pair_folders(restored: Path, clean: Path, rule: str) -> Pairing:
    """Pair the images of two folders (not of folders inside them) under the named rule.

    Raises:
        UsageError: the rule is unknown, a folder is missing or holds no image, two files claim
            one place, or nothing pairs; then the rule that would pair most is named.
    """
    if rule not in RULES:
        raise UsageError(f"--pairing {rule} is no rule; {did_you_mean(rule, RULES)}")
    ours = image_files(restored, "--restored")
    theirs = image_files(clean, "--clean")
    found = _pair(ours, theirs, RULES[rule])
    if not found.pairs:
        counts = {name: len(_pair(ours, theirs, other).pairs) for name, other in RULES.items()}
        best = max(counts, key=lambda name: counts[name])
        hint = (
            f"--pairing {best} would pair {counts[best]}"
            if counts[best]
            else "no rule pairs them; rename the files"
        )
        raise UsageError(
            f"no image of {restored} pairs with one of {clean} under --pairing {rule} "
            f"({RULES[rule].about}); {hint}"
        )
    return found


def _pair(ours: list[Path], theirs: list[Path], rule: PairingRule) -> Pairing:
    _one_each(ours, lambda stem: stem)
    by_key = _one_each(theirs, rule.clean_key)
    pairs = []
    alone = []
    for path in ours:
        partner = by_key.get(rule.restored_key(path.stem))
        if partner is None:
            alone.append(path)
        else:
            pairs.append((path, partner))
    used = {partner for _, partner in pairs}
    left = tuple(path for path in theirs if path not in used)
    return Pairing(tuple(pairs), tuple(alone), left)


def _one_each(paths: list[Path], key: Callable[[str], str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(key(path.stem), path)
        if other is not path:
            raise UsageError(
                f"{other.name} and {path.name} in {path.parent} claim the same partner; remove one"
            )
    return found


def image_files(folder: Path, flag: str) -> list[Path]:
    """Return the images directly in ``folder`` by natural order of names; others are passed over.

    Raises:
        UsageError: the folder is missing or holds none; ``flag`` stands in the message.
    """
    from PIL import Image

    if not folder.is_dir():
        raise UsageError(f"{flag} {folder} is not a folder; check the path")
    readable = Image.registered_extensions()
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in readable and not path.name.startswith(".") and path.is_file()
    ]
    if not found:
        raise UsageError(f"{flag} {folder} holds no image; name the folder that holds the files")
    return sorted(found, key=lambda path: _natural(path.name))


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts 2 before 10."""
    import re

    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
