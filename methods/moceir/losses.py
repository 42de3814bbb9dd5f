"""The measure of imbalance in MoCE-IR's load-balancing loss.

Follows Zamfir et al., CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR,
net/moce_ir.py.
"""

from __future__ import annotations

from torch import Tensor

_EPSILON = 1e-8


def squared_variation(values: Tensor) -> Tensor:
    """Return the squared coefficient of variation of (experts,), variance over n - 1.

    It is 0 where all values are equal. Shazeer et al., "Outrageously Large Neural Networks", ICLR
    2017 (arXiv 1701.06538), section 4, balance experts by it.
    """
    return values.var() / (values.mean() + _EPSILON).square()
