"""Parts of a network that the authors' checkpoints leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn


def with_own_parts(
    network: nn.Module, state: Mapping[str, Tensor], parts: Sequence[str]
) -> dict[str, Tensor]:
    """Return ``state`` with the network's own values of each part that it does not have.

    Args:
        network: whose values are taken.
        state: a state dict under the network's keys.
        parts: beginnings of keys.
    """
    adapted = dict(state)
    for part in parts:
        if any(key.startswith(part) for key in state):
            continue
        for key, value in network.state_dict().items():
            if key.startswith(part):
                adapted[key] = value
    return adapted
