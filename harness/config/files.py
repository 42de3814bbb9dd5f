"""Where cards lie, and reading them."""

from __future__ import annotations

from pathlib import Path

import harness
from harness.config.errors import HarnessError, UsageError, did_you_mean
from harness.config.parsing import parse, read_yaml
from harness.config.protocol_files import load_protocol
from harness.config.settings import OODSet, Setting
from harness.data.synthetic.photographs import check_split


def datasets_folder() -> Path:
    """Return the folder of cards: inside the wheel, or ``datasets/`` of a checkout.

    Raises:
        HarnessError: the installation holds no cards.
    """
    package = Path(harness.__file__).parent
    for folder in (package / "datasets", package.parent / "datasets"):
        if (folder / "photographs.yaml").is_file():
            return folder
    raise HarnessError(f"no cards beside {package}; install the package again with pip")


def setting_names() -> list[str]:
    """Return the names of all settings that have a card."""
    return sorted(path.stem for path in (datasets_folder() / "settings").glob("*.yaml"))


def load_setting(name: str) -> Setting:
    """Read and check the card of ``name``.

    Raises:
        UsageError: no such setting, or a card with an unknown key or a split by halves.
    """
    if name not in setting_names():
        raise UsageError(f"unknown setting '{name}'; {did_you_mean(name, setting_names())}")
    path = datasets_folder() / "settings" / f"{name}.yaml"
    content = read_yaml(path)
    if isinstance(content.get("protocol"), str):
        try:
            content["protocol"] = load_protocol(content["protocol"], datasets_folder()).protocol
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error
    setting = parse(Setting, content, str(path))
    if setting.name != name:
        raise UsageError(f"{path} names itself '{setting.name}'; name and file must agree")
    synthetic = setting.synthetic
    check_split(datasets_folder(), synthetic.train, synthetic.validation, synthetic.test)
    return setting


def ood_set_names() -> list[str]:
    """Return the names of all test sets outside the settings that have a card."""
    return sorted(p.stem for p in (datasets_folder() / "out_of_distribution").glob("*.yaml"))


def load_ood_set(name: str) -> OODSet:
    """Read a test set outside the settings: a card's name, or a YAML file of one's own.

    Raises:
        UsageError: no such card or file, or one that does not fit.
    """
    own = name.endswith((".yaml", ".yml"))
    if not own and name not in ood_set_names():
        raise UsageError(
            f"--test-set {name} is unknown; {did_you_mean(name, ood_set_names())}, or give a YAML "
            "file of your own"
        )
    path = Path(name) if own else datasets_folder() / "out_of_distribution" / f"{name}.yaml"
    return parse(OODSet, read_yaml(path), str(path))
