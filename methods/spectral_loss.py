"""The loss of spectra that MoCE-IR and MIRAGE are trained with."""

from __future__ import annotations

import torch
from torch import Tensor


def spectral_error(restored: Tensor, clean: Tensor) -> Tensor:
    """Return the mean absolute difference of real and imaginary parts of the spectra, a scalar.

    The transform is over the two image axes, one half of the spectrum, not normalised, as in
    the published ``FFTLoss`` (eduardzamfir/MoCE-IR, utils/loss_utils.py). Both images are
    (N, 3, H, W).
    """
    # The transform is linear, so one of the difference is enough; torch.fft has no bfloat16.
    spectrum = torch.fft.rfft2(restored.float() - clean.float())
    return torch.view_as_real(spectrum).abs().mean()
