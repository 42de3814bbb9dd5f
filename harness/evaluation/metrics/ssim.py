"""Structural similarity (Wang et al., IEEE TIP 13(4), 2004) in the variants of the field."""

from __future__ import annotations

from harness.evaluation.metrics.arrays import Image
from harness.evaluation.metrics.definition import metric
from harness.evaluation.metrics.luma import bgr, luma601, luma_yiq8
from harness.evaluation.metrics.windowed_ssim import gauss11, uniform, windowed_ssim


@metric(id="ssim_rgb_uniform7", label="SSIM")
def ssim_rgb_uniform7(restored: Image, clean: Image) -> float:
    """Return SSIM with a uniform 7x7 window and sample covariance, mean over channels.

    scikit-image's ``structural_similarity(data_range=1, channel_axis=-1)``, as AirNet, PromptIR,
    AdaIR and OneRestore use it.
    """
    return windowed_ssim(restored, clean, uniform(7), peak=1.0, unbiased=49 / 48)


@metric(id="ssim_rgb_gauss11", label="SSIM (Gaussian)")
def ssim_rgb_gauss11(restored: Image, clean: Image) -> float:
    """Return SSIM with an 11x11 Gaussian window (sigma 1.5) and sample covariance.

    scikit-image's ``structural_similarity(gaussian_weights=True)`` with its default
    ``use_sample_covariance``, as MoCE-IR uses it.
    """
    return windowed_ssim(restored, clean, gauss11(), peak=1.0, unbiased=121 / 120)


@metric(id="ssim_rgb_gauss11_population", label="SSIM (Wang)")
def ssim_rgb_gauss11_population(restored: Image, clean: Image) -> float:
    """Return SSIM with an 11x11 Gaussian window and population covariance, mean over channels.

    BasicSR's ``calculate_ssim`` on RGB, and pytorch_msssim's ``ssim`` with its defaults, as
    InstructIR uses it.
    """
    return windowed_ssim(restored, clean, gauss11(), peak=1.0, unbiased=1.0)


@metric(id="ssim_y601_gauss11", label="SSIM (Y)")
def ssim_y601_gauss11(restored: Image, clean: Image) -> float:
    """Return SSIM on luma with an 11x11 Gaussian window, population covariance, peak 255.

    BasicSR's ``calculate_ssim(test_y_channel=True)``, after Wang et al., IEEE TIP 2004.
    """
    x, y = luma601(restored), luma601(clean)
    return windowed_ssim(x, y, gauss11(), peak=255.0, unbiased=1.0)


@metric(id="ssim_y601_bgr_uniform11", label="SSIM (Y, BGR)")
def ssim_y601_bgr_uniform11(restored: Image, clean: Image) -> float:
    """Return SSIM on luma with red and blue exchanged, uniform 11x11 window, sample covariance.

    sunshangquan/Histoformer, Allweather/compute_psnr.py.
    """
    x, y = luma601(bgr(restored)), luma601(bgr(clean))
    return windowed_ssim(x, y, uniform(11), peak=255.0, unbiased=121 / 120)


@metric(id="ssim_rgb_uniform7_range2", label="SSIM (range 2)")
def ssim_rgb_uniform7_range2(restored: Image, clean: Image) -> float:
    """Return SSIM as :func:`ssim_rgb_uniform7` does, with constants for values that span 2.

    scikit-image before 0.20 took -1 to 1 for the range of floats where none was given, as
    UCLA-VMG/GT-RAIN, testing_deraining_code.ipynb, gives none.
    """
    return windowed_ssim(restored, clean, uniform(7), peak=2.0, unbiased=49 / 48)


@metric(id="ssim_yiq8_gauss11", label="SSIM (YIQ)")
def ssim_yiq8_gauss11(restored: Image, clean: Image) -> float:
    """Return SSIM on luma of YIQ in whole levels, 11x11 Gaussian window, population covariance.

    pyiqa's ``ssim`` with its defaults, as House-Leo/FoundIR, cal_metrics.py, uses it; there
    negative contrast counts as zero.
    """
    x, y = luma_yiq8(restored), luma_yiq8(clean)
    return windowed_ssim(x, y, gauss11(), peak=255.0, unbiased=1.0)
