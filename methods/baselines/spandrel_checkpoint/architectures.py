"""Which architecture a state dict belongs to, by spandrel's registry (chaiNNer-org/spandrel)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from harness.method import OptionError
from methods.baselines.extra_package import INSTALL_EXTRA, extra_installed
from methods.baselines.spandrel_classes import MAIN_REGISTRY, ArchRegistry

_PROMPTS = "prompt1.prompt_param"


def known_architectures() -> ArchRegistry:
    """Return spandrel's architectures and, where installed, those of its optional package."""
    registry = MAIN_REGISTRY.copy()
    if extra_installed():
        from methods.baselines.extra_classes import EXTRA_REGISTRY

        registry.add(*EXTRA_REGISTRY, ignore_duplicates=True)
    return registry


def architecture_of(
    path: Path, state: Mapping[str, Tensor], asked: str | None, registry: ArchRegistry
) -> str:
    """Return spandrel's name of the architecture of a state dict.

    Args:
        path: file of the state dict, for messages.
        state: tensors by their names.
        asked: name of the architecture, in any case; None recognises it.
        registry: the architectures to choose from.

    Raises:
        OptionError: the name is unknown, the tensors have other names than this architecture's,
            or no architecture is recognised.
    """
    if asked is None:
        return _recognised_or_refused(path, state, registry)
    name = _known_name(asked, registry)
    if not registry[name].detect(dict(state)):
        recognised = _recognised(state, registry)
        hint = f"; spandrel recognises a {recognised}" if recognised else ""
        raise OptionError(f"{path} does not have the keys of a {name}{hint}")
    return name


def _known_name(asked: str, registry: ArchRegistry) -> str:
    """Return spandrel's spelling of an architecture's name."""
    names = {}
    for support in registry:
        name = str(support.architecture.id)
        names[name.lower()] = name
    if asked.lower() in names:
        return names[asked.lower()]
    near = difflib.get_close_matches(asked.lower(), names, n=3, cutoff=0.5)
    if near:
        nearest = " or ".join(f"'{names[one]}'" for one in near)
        hint = f"did you mean {nearest}?"
    else:
        hint = "known are " + ", ".join(sorted(names.values()))
    raise OptionError(f"architecture={asked} is none that spandrel knows; {hint}{_how_to_add()}")


def _how_to_add() -> str:
    """Return how to install more architectures, if there are any."""
    return "" if extra_installed() else f"; `{INSTALL_EXTRA}` adds more"


def _recognised(state: Mapping[str, Tensor], registry: ArchRegistry) -> str | None:
    """Return the name of the architecture that has the keys of ``state``, if one has."""
    for support in registry.architectures("detection"):
        if support.detect(dict(state)):
            return str(support.architecture.id)
    return None


def _recognised_or_refused(path: Path, state: Mapping[str, Tensor], registry: ArchRegistry) -> str:
    """Return the recognised architecture, unless spandrel would mistake it."""
    if any(key.endswith(_PROMPTS) for key in state):
        raise OptionError(
            f"{path} holds prompts ({_PROMPTS}), so it is a PromptIR or one of its relatives, "
            "which spandrel would mistake for a Restormer; run it as promptir or cpl"
        )
    recognised = _recognised(state, registry)
    if recognised is None:
        raise OptionError(
            f"{path} has the keys of no architecture that spandrel knows, such as "
            f"'{next(iter(state))}'{_how_to_add()}"
        )
    return recognised
