"""Where cards lie, and reading them."""

from __future__ import annotations

from pathlib import Path

import harness
from harness.data.photographs import check_split
from harness.data.protocol_cards import load_protocol
from harness.errors import HarnessError, UsageError, did_you_mean
from harness.spec import OutsideSet, Setting, parse, read_yaml

_NOT_SETTINGS = {"photographs"}


def cards_folder() -> Path:
    """Return the folder of cards: inside the wheel, or ``datasets/`` of a checkout.

    Raises:
        HarnessError: the installation holds no cards.
    """
    package = Path(harness.__file__).parent
    for folder in (package / "cards", package.parent / "datasets"):
        if (folder / "photographs.yaml").is_file():
            return folder
    raise HarnessError(f"no cards beside {package}; install the package again with pip")


def setting_names() -> list[str]:
    """Return the names of all settings that have a card."""
    return sorted(p.stem for p in cards_folder().glob("*.yaml") if p.stem not in _NOT_SETTINGS)


def load_setting(name: str) -> Setting:
    """Read and check the card of ``name``.

    Raises:
        UsageError: no such setting, or a card with an unknown key or a split by halves.
    """
    if name not in setting_names():
        raise UsageError(f"unknown setting '{name}'; {did_you_mean(name, setting_names())}")
    path = cards_folder() / f"{name}.yaml"
    content = read_yaml(path)
    if isinstance(content.get("protocol"), str):
        try:
            content["protocol"] = load_protocol(content["protocol"], cards_folder()).protocol
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error
    setting = parse(Setting, content, str(path))
    if setting.name != name:
        raise UsageError(f"{path} names itself '{setting.name}'; name and file must agree")
    twin = setting.twin
    check_split(cards_folder(), twin.train, twin.validation, twin.test)
    return setting


def outside_names() -> list[str]:
    """Return the names of all test sets outside the settings that have a card."""
    return sorted(p.stem for p in (cards_folder() / "outside").glob("*.yaml"))


def load_outside(name: str) -> OutsideSet:
    """Read a test set outside the settings: a card's name, or a YAML file of one's own.

    Raises:
        UsageError: no such card or file, or one that does not fit.
    """
    own = name.endswith((".yaml", ".yml"))
    if not own and name not in outside_names():
        raise UsageError(
            f"--test-set {name} is unknown; {did_you_mean(name, outside_names())}, or give a YAML "
            "file of your own"
        )
    path = Path(name) if own else cards_folder() / "outside" / f"{name}.yaml"
    return parse(OutsideSet, read_yaml(path), str(path))
