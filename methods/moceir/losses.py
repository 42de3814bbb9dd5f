"""MoCE-IR's loss of spectra, and the measure of imbalance in its load-balancing loss.

Follows Zamfir et al., CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR,
utils/loss_utils.py and net/moce_ir.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-8


def spectral_error(restored: Tensor, clean: Tensor) -> Tensor:
    """Return the mean absolute difference of real and imaginary parts of the spectra, a scalar.

    The transform is over the two image axes, one half of the spectrum, not normalised, as in
    the published ``FFTLoss`` (utils/loss_utils.py). Both images are (N, 3, H, W).
    """
    # The transform is linear, so one of the difference is enough; torch.fft has no bfloat16.
    spectrum = torch.fft.rfft2(restored.float() - clean.float())
    return torch.view_as_real(spectrum).abs().mean()


def squared_variation(values: Tensor) -> Tensor:
    """Return the squared coefficient of variation of (experts,), variance over n - 1.

    It is 0 where all values are equal. Shazeer et al., "Outrageously Large Neural Networks", ICLR
    2017 (arXiv 1701.06538), section 4, balance experts by it.
    """
    return values.var() / (values.mean() + _EPSILON).square()
