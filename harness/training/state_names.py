"""Names in a state dict: prefixes that frameworks add, and differences to a network's names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from torch import Tensor

_PREFIXES = (
    *("_orig_mod.", "module.", "_forward_module.", "net.", "net_g.", "netG.", "model."),
    *("generator.", "network."),
)
_MOST_NAMES = 4

State = Mapping[str, Tensor]


def without_prefixes(state: State, own: State) -> dict[str, Tensor]:
    """Drop leading prefixes as long as that lets more names agree with the network's.

    Args:
        state: what a file holds.
        own: state dict of the network.
    """
    best = dict(state)
    while True:
        better = _best_stripped(best, own)
        if better is None:
            return best
        # A wrapped file may have two prefixes, of which only both together lead to agreement.
        has_another = any(key.startswith(_PREFIXES) for key in better)
        gained = _agreement(better, own) - _agreement(best, own)
        if gained < 0 or (gained == 0 and not has_another):
            return best
        best = better


def differences(state: State, own: State) -> list[str]:
    """Return in words how names and shapes of a file differ from the network's; none if equal."""
    missing = _absent(own, state)
    unexpected = _absent(state, own)
    shapes = _shape_differences(state, own)
    problems = []
    if missing:
        problems.append(_counted(_with_nearest(missing, unexpected), "missing"))
    if unexpected:
        problems.append(_counted(_with_nearest(unexpected, missing), "unexpected"))
    if shapes:
        problems.append(_counted(shapes, "of another shape"))
    return problems


def _absent(names: State, among: State) -> list[str]:
    return [name for name in names if name not in among]


def _shape_differences(state: State, own: State) -> list[str]:
    found = []
    for key, value in own.items():
        if key in state and state[key].shape != value.shape:
            shape, expected = tuple(state[key].shape), tuple(value.shape)
            found.append(f"{key} is {shape} in the file and {expected} here")
    return found


def _best_stripped(state: State, own: State) -> dict[str, Tensor] | None:
    """Drop the one prefix that lets most names agree; None where no name has a prefix."""
    best = None
    for prefix in _PREFIXES:
        if not any(key.startswith(prefix) for key in state):
            continue
        stripped = {key.removeprefix(prefix): value for key, value in state.items()}
        if len(stripped) < len(state):  # two names would become one
            continue
        if best is None or _agreement(stripped, own) > _agreement(best, own):
            best = stripped
    return best


def _agreement(state: State, own: State) -> int:
    """Return how many names two state dicts have in common."""
    return len(state.keys() & own.keys())


def _with_nearest(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return names, those that are shown with the nearest of the others."""
    noted = list(names)
    for number, name in enumerate(names[:_MOST_NAMES]):
        near = difflib.get_close_matches(name, others, n=1, cutoff=0.6)
        if near:
            noted[number] = f"{name} [nearest: {near[0]}]"
    return noted


def _counted(names: Sequence[str], what: str) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    rest = f", and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{len(names)} {what} ({shown}{rest})"
