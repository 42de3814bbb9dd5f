"""Metrics under their full names, since values differ by colour space and window.

Inputs are (H, W, 3) float RGB in [0, 1]. An id names all that the formula does: the colour space
(``rgb``, ``y601``), the window of SSIM (``uniform7``, ``gauss11``), and what departs from the rule
(``population`` covariance, ``bgr`` order). What is done to the images before, such as rounding
and borders, is the protocol's. The families that the field's repositories use stand in
docs/protocols.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.config.errors import UsageError, did_you_mean
from harness.evaluation.metrics.ssim import Image, Wide, gauss11, same_shape, ssim, uniform


@dataclass(frozen=True)
class Metric:
    """A named measure of a restored image against the clean one.

    ``concurrent`` tells whether several images may be measured at once.
    """

    id: str
    label: str
    unit: str
    decimals: int
    higher_is_better: bool
    function: Callable[[Image, Image], float]
    concurrent: bool = True


def psnr_rgb(restored: Image, clean: Image) -> float:
    """Return 10 log10(1 / MSE) in dB over all pixels and channels; infinite if identical."""
    return _psnr(restored, clean, peak=1.0)


def psnr_y601(restored: Image, clean: Image) -> float:
    """Return PSNR in dB on BT.601 luma in [16, 235], not rounded, with peak 255 (BasicSR)."""
    return _psnr(luma601(restored), luma601(clean), peak=255.0)


def psnr_y601_bgr(restored: Image, clean: Image) -> float:
    """Return PSNR as :func:`psnr_y601`, with the weights of red and blue exchanged.

    sunshangquan/Histoformer, Allweather/compute_psnr.py, reads files as BGR and weights them as
    RGB.
    """
    return psnr_y601(_bgr(restored), _bgr(clean))


def luma601(image: Image) -> Wide:
    """Return (H, W) BT.601 luma of RGB in [0, 1], on the scale of 8-bit values."""
    coefficients = np.array([65.481, 128.553, 24.966])
    luma: Wide = image.astype(np.float64) @ coefficients + 16.0
    return luma


def ssim_rgb_uniform7(restored: Image, clean: Image) -> float:
    """Return SSIM with a uniform 7x7 window and sample covariance, mean over channels.

    scikit-image's ``structural_similarity(data_range=1, channel_axis=-1)``, as AirNet, PromptIR,
    AdaIR and OneRestore use it.
    """
    return ssim(restored, clean, uniform(7), peak=1.0, unbiased=49 / 48)


def ssim_rgb_gauss11(restored: Image, clean: Image) -> float:
    """Return SSIM with an 11x11 Gaussian window (sigma 1.5) and sample covariance.

    scikit-image's ``structural_similarity(gaussian_weights=True)`` with its default
    ``use_sample_covariance``, as MoCE-IR uses it.
    """
    return ssim(restored, clean, gauss11(), peak=1.0, unbiased=121 / 120)


def ssim_rgb_gauss11_population(restored: Image, clean: Image) -> float:
    """Return SSIM with an 11x11 Gaussian window and population covariance, mean over channels.

    BasicSR's ``calculate_ssim`` on RGB, and pytorch_msssim's ``ssim`` with its defaults, as
    InstructIR uses it.
    """
    return ssim(restored, clean, gauss11(), peak=1.0, unbiased=1.0)


def ssim_y601_gauss11(restored: Image, clean: Image) -> float:
    """Return SSIM on luma with an 11x11 Gaussian window, population covariance, peak 255.

    BasicSR's ``calculate_ssim(test_y_channel=True)``, after Wang et al., IEEE TIP 2004.
    """
    return ssim(luma601(restored), luma601(clean), gauss11(), peak=255.0, unbiased=1.0)


def ssim_y601_bgr_uniform11(restored: Image, clean: Image) -> float:
    """Return SSIM on luma with red and blue exchanged, uniform 11x11 window, sample covariance.

    sunshangquan/Histoformer, Allweather/compute_psnr.py.
    """
    x, y = luma601(_bgr(restored)), luma601(_bgr(clean))
    return ssim(x, y, uniform(11), peak=255.0, unbiased=121 / 120)


def _bgr(image: Image) -> Image:
    return image[..., ::-1]


def _psnr(a: Image, b: Image, peak: float) -> float:
    same_shape(a, b)
    difference = np.subtract(a, b, dtype=np.float64)
    error = float(np.mean(np.square(difference, out=difference)))
    return float("inf") if error == 0 else float(10 * np.log10(peak * peak / error))


METRICS: dict[str, Metric] = {
    m.id: m
    for m in (
        Metric("psnr_rgb", "PSNR", "dB", 2, True, psnr_rgb),
        Metric("ssim_rgb_uniform7", "SSIM", "", 4, True, ssim_rgb_uniform7),
        Metric("ssim_rgb_gauss11", "SSIM (Gaussian)", "", 4, True, ssim_rgb_gauss11),
        Metric(
            "ssim_rgb_gauss11_population",
            "SSIM (Wang)",
            "",
            4,
            True,
            ssim_rgb_gauss11_population,
        ),
        Metric("psnr_y601", "PSNR (Y)", "dB", 2, True, psnr_y601),
        Metric("ssim_y601_gauss11", "SSIM (Y)", "", 4, True, ssim_y601_gauss11),
        Metric("psnr_y601_bgr", "PSNR (Y, BGR)", "dB", 2, True, psnr_y601_bgr),
        Metric(
            "ssim_y601_bgr_uniform11",
            "SSIM (Y, BGR)",
            "",
            4,
            True,
            ssim_y601_bgr_uniform11,
        ),
    )
}


def resolve_metrics(names: Sequence[str]) -> list[Metric]:
    """Return metrics by full id; other names are looked up in pyiqa, prefix optional.

    Raises:
        UsageError: neither this project nor pyiqa knows the name.
        HarnessError: a metric needs weights that are not on this machine.
    """
    found = []
    for name in names:
        if name in METRICS:
            found.append(METRICS[name])
        else:
            from harness.evaluation.metrics.pyiqa_metrics import named_metric

            found.append(named_metric(name.removeprefix("pyiqa:"), METRICS))
    if len({m.id for m in found}) != len(found):
        raise UsageError("a metric is asked for twice; name each once")
    return found


def metric_ids(names: Sequence[str]) -> tuple[str, ...]:
    """Return the full ids of metrics by name, each once, without loading any library."""
    return tuple(dict.fromkeys(metric_id(name) for name in names))


def metric_id(name: str) -> str:
    """Return the id under which a metric's results are stored; pyiqa's carry a prefix."""
    if name in METRICS or name.startswith("pyiqa:"):
        return name
    return f"pyiqa:{name}"


def unknown_metric(name: str, known: Sequence[str]) -> UsageError:
    """Return the error for a name that is no metric."""
    return UsageError(f"unknown metric '{name}'; {did_you_mean(name, known)}")
