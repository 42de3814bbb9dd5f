"""This project's operators, which torch's counter of operations does not know."""

from __future__ import annotations

from typing import Any

import torch

DEPTHWISE = ("depthwise", "depthwise_rows", "depthwise_backward")
"""Names of the depth-wise convolutions below ``torch.ops.harness``."""


def own_operators(*names: str) -> list[Any]:
    """Return operators by name; they exist once a network that uses them was built."""
    own = torch.ops.harness
    return [getattr(own, name) for name in names if hasattr(own, name)]
