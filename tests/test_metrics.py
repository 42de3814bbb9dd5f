"""Metrics against golden values, scikit-image, hand computations and pyiqa."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from harness.config.errors import HarnessError, UsageError
from harness.evaluation.metrics import (
    Metric,
    MetricFacts,
    known_metrics,
    metric,
    metric_facts,
    metric_ids,
    resolve_metrics,
)
from harness.evaluation.metrics.luma import luma601
from harness.evaluation.metrics.psnr import psnr_rgb, psnr_y601, psnr_y601_bgr
from harness.evaluation.metrics.pyiqa_metrics import pyiqa_metric
from harness.evaluation.metrics.pyiqa_models import SET_NAMES
from harness.evaluation.metrics.ssim import (
    ssim_rgb_gauss11,
    ssim_rgb_gauss11_population,
    ssim_rgb_uniform7,
    ssim_rgb_uniform7_range2,
    ssim_y601_bgr_uniform11,
    ssim_y601_gauss11,
    ssim_yiq8_gauss11,
)
from harness.evaluation.metrics.windowed_ssim import gauss11, windowed_ssim
from harness.registry import use_plugins

GOLDEN = {  # of the pair that steps() makes
    "psnr_rgb": 29.239136,
    "psnr_y601": 34.701904,
    "psnr_y601_bgr": 34.801803,
    "ssim_rgb_gauss11": 0.885652,
    "ssim_rgb_gauss11_population": 0.885760,
    "ssim_rgb_uniform7": 0.924535,
    "ssim_rgb_uniform7_range2": 0.938300,
    "ssim_y601_bgr_uniform11": 0.986637,
    "ssim_y601_gauss11": 0.945734,
    "ssim_yiq8_gauss11": 0.941321,
}
METRICS = sorted(GOLDEN)


def images(seed: int = 0, height: int = 40, width: int = 52) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    clean = rng.random((height, width, 3))
    return np.clip(clean + 0.1 * rng.standard_normal(clean.shape), 0, 1), clean


@pytest.mark.parametrize("seed", range(3))
def test_rgb_metrics_equal_scikit_image(seed: int) -> None:
    a, b = images(seed)
    kwargs = {"data_range": 1, "channel_axis": -1}
    assert psnr_rgb(a, b) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), abs=1e-9)
    assert ssim_rgb_uniform7(a, b) == pytest.approx(structural_similarity(b, a, **kwargs), abs=1e-9)
    gauss = structural_similarity(b, a, gaussian_weights=True, **kwargs)
    assert ssim_rgb_gauss11(a, b) == pytest.approx(gauss, abs=1e-9)


def test_luma_of_black_grey_and_white() -> None:
    values = np.array([[[0.0] * 3, [1.0] * 3, [0.5] * 3, [1.0, 0, 0]]])
    np.testing.assert_allclose(luma601(values)[0], [16, 235, 125.5, 81.481], atol=1e-9)


def test_psnr_by_hand() -> None:
    clean = np.zeros((8, 8, 3))
    assert psnr_rgb(clean + 0.1, clean) == pytest.approx(20.0)
    expected = 20 * np.log10(255 / (0.1 * 219))
    assert psnr_y601(clean + 0.1, clean) == pytest.approx(expected)


def test_ssim_y601_by_direct_loops() -> None:
    a, b = images(1, 14, 13)
    x, y = luma601(a), luma601(b)
    window = np.outer(*[np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)] * 2)
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for top in range(14 - 10):
        for left in range(13 - 10):
            p, q = (i[top : top + 11, left : left + 11] for i in (x, y))
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2
            cov = (window * p * q).sum() - mp * mq
            values.append(
                (2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2))
            )
    assert ssim_y601_gauss11(a, b) == pytest.approx(np.mean(values), abs=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_population_covariance_equals_scikit_image_and_a_plain_convolution(seed: int) -> None:
    a, b = images(seed)
    kwargs = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 1}
    expected = structural_similarity(b, a, channel_axis=-1, **kwargs)
    assert ssim_rgb_gauss11_population(a, b) == pytest.approx(expected, abs=1e-9)

    # As BasicSR states it: on 0 to 255, valid positions alone, channels averaged.
    window = np.outer(*[np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)] * 2)
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    channels = []
    for k in range(3):
        x, y = 255 * a[..., k], 255 * b[..., k]
        mx, my, xx, yy, xy = (
            convolve2d(i, window, mode="valid") for i in (x, y, x * x, y * y, x * y)
        )
        numerator = (2 * mx * my + c1) * (2 * (xy - mx * my) + c2)
        channels.append(numerator / ((mx**2 + my**2 + c1) * (xx - mx**2 + yy - my**2 + c2)))
    assert ssim_rgb_gauss11_population(a, b) == pytest.approx(np.mean(channels), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_histoformer_weights_blue_as_red(seed: int) -> None:
    a, b = images(seed)
    luma = [
        (65.481 * i[..., 2] + 128.553 * i[..., 1] + 24.966 * i[..., 0] + 16) / 255 for i in (a, b)
    ]
    psnr = peak_signal_noise_ratio(luma[1], luma[0], data_range=1)
    ssim = structural_similarity(luma[1], luma[0], win_size=11, data_range=1)
    assert psnr_y601_bgr(a, b) == pytest.approx(psnr, abs=1e-9)
    assert ssim_y601_bgr_uniform11(a, b) == pytest.approx(ssim, abs=1e-9)


def steps() -> tuple[np.ndarray, np.ndarray]:
    """A pair that any language can make: integers, no generator."""
    y, x, c = np.meshgrid(np.arange(24), np.arange(30), np.arange(3), indexing="ij")
    clean = (7 * x + 5 * y + 40 * c + (x * y) % 11) % 256
    return np.clip(clean + (13 * x + 29 * y + 7 * c) % 31 - 15, 0, 255) / 255, clean / 255


def test_golden_values() -> None:
    a, b = steps()
    found = {one.id: one.function(a, b) for one in resolve_metrics(GOLDEN)}
    assert found == pytest.approx(GOLDEN, abs=2e-6)


@pytest.mark.parametrize("name", METRICS)
def test_identical_images(name: str) -> None:
    clean = images()[1]
    value = known_metrics()[name].function(clean, clean)
    assert value == (float("inf") if "psnr" in name else pytest.approx(1))


def test_ssim_of_several_bands_equals_one_band() -> None:
    a, b = images(0, 64, 40)
    whole = windowed_ssim(a, b, gauss11(), 1.0, 1.0)
    assert windowed_ssim(a, b, gauss11(), 1.0, 1.0, band_bytes=1) == pytest.approx(whole)


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=10)
@given(seed=st.integers(0, 1000))
def test_metrics_are_symmetric_and_never_nan(name: str, seed: int) -> None:
    a, b = images(seed, 16, 17)
    forth, back = (known_metrics()[name].function(x, y) for x, y in ((a, b), (b, a)))
    assert forth == pytest.approx(back, rel=1e-9)
    assert np.isfinite(forth)


@pytest.mark.parametrize("name", METRICS)
def test_sizes_that_differ_are_refused(name: str) -> None:
    a, b = images()
    with pytest.raises(HarnessError, match="differ in size"):
        known_metrics()[name].function(a[:-1], b)


def test_an_image_smaller_than_the_window_is_refused() -> None:
    a, b = images(0, 6, 20)
    with pytest.raises(HarnessError, match="20x6 pixels is smaller"):
        ssim_rgb_uniform7(a, b)


# --- pyiqa --------------------------------------------------------------------------


def test_pyiqa_luma_is_forced_to_ycbcr() -> None:
    a, b = images(0, 64, 64)
    assert pyiqa_metric("psnry").function(a, b) == pytest.approx(psnr_y601(a, b), abs=1e-3)
    # pyiqa rounds luma and clamps negative contrast, hence the tolerance; YIQ is 0.01 away.
    assert pyiqa_metric("ssim").function(a, b) == pytest.approx(ssim_y601_gauss11(a, b), abs=1e-3)


def test_pyiqa_rgb_ssim_is_that_of_population_covariance() -> None:
    a, b = images(0, 64, 64)
    ours = ssim_rgb_gauss11_population(a, b)
    # Negative contrast is clamped there, hence the tolerance; sample covariance is 1e-3 away.
    assert pyiqa_metric("ssimc").function(a, b) == pytest.approx(ours, abs=1e-4)


def test_pyiqa_direction_and_prefix() -> None:
    (gmsd,) = resolve_metrics(["pyiqa:gmsd"])
    assert gmsd.id == "pyiqa:gmsd"
    assert not gmsd.higher_is_better
    a, b = images(0, 64, 64)
    assert gmsd.function(a, b) > gmsd.function(b, b)


def test_a_metric_that_cannot_be_made_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa

    def fail(*arguments: object, **options: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(pyiqa, "create_metric", fail)
    with pytest.raises(HarnessError, match=r"'gmsd' needs weights .* leave it out of --metrics"):
        pyiqa_metric("gmsd")


def test_pyiqa_ssim_with_its_defaults_is_that_of_yiq() -> None:
    """What FoundIR's script calls ssim."""
    import pyiqa

    a, b = images(0, 64, 64)
    planes = [torch.from_numpy(x.transpose(2, 0, 1)[None].copy()).float() for x in (a, b)]
    theirs = float(pyiqa.create_metric("ssim", device="cpu")(*planes))
    assert ssim_yiq8_gauss11(a, b) == pytest.approx(theirs, abs=1e-6)
    assert ssim_y601_gauss11(a, b) != pytest.approx(theirs, abs=1e-4)


def test_ssim_of_range_two_is_that_of_old_scikit_image() -> None:
    a, b = images(0, 64, 64)
    expected = structural_similarity(b, a, data_range=2, channel_axis=-1)
    assert ssim_rgb_uniform7_range2(a, b) == pytest.approx(expected, abs=1e-9)


def test_unknown_metric_names_the_nearest() -> None:
    for name in ("psnr_rbg", "pyiqa:psnr_rbg"):
        with pytest.raises(UsageError, match="did you mean 'psnr_rgb'"):
            metric_ids([name])
    with pytest.raises(UsageError, match="did you mean 'psnr_rgb'"):
        resolve_metrics(["psnr_rbg"])


def test_without_a_list_of_models_loading_finds_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.evaluation.metrics.registry.pyiqa_directions", dict)
    assert metric_ids(["nothing"]) == ("pyiqa:nothing",)
    with pytest.raises(HarnessError, match="the installed pyiqa has no metric 'nothing'"):
        resolve_metrics(["nothing"])


# --- names ---------------------------------------------------------------------------


def test_names_become_ids_each_once() -> None:
    assert metric_ids(["psnr_rgb", "lpips", "pyiqa:lpips"]) == ("psnr_rgb", "pyiqa:lpips")
    (psnr,) = resolve_metrics(["psnr_rgb", "psnr_rgb"])
    assert (psnr.function, psnr.unit, psnr.decimals) == (psnr_rgb, "dB", 2)


def test_names_and_directions_are_those_of_pyiqa() -> None:
    import pyiqa

    of_sets = set(SET_NAMES) - {"fid"}
    assert of_sets < set(pyiqa.list_models())
    assert metric_ids([name for name in pyiqa.list_models() if name not in of_sets])
    assert not metric_facts("pyiqa:lpips").higher_is_better
    assert metric_facts("pyiqa:musiq").higher_is_better
    facts = metric_facts("pyiqa:gmsd")
    (loaded,) = resolve_metrics(["gmsd"])
    assert facts == MetricFacts(**{name: getattr(loaded, name) for name in vars(facts)})


def test_facts_of_stored_metrics_need_no_definition() -> None:
    assert metric_facts("psnr_rgb") == MetricFacts("psnr_rgb", "PSNR", "dB", 2, True)
    stored = metric_facts("mine", higher_is_better=False)
    assert (stored.label, stored.higher_is_better) == ("mine", False)
    assert not metric_facts("pyiqa:of-tomorrow", higher_is_better=False).higher_is_better


def test_planning_loads_no_library() -> None:
    code = (
        "import sys\n"
        "from harness.evaluation.metrics import metric_facts, metric_ids\n"
        "metric_ids(['psnr_rgb', 'lpips']), metric_facts('pyiqa:lpips')\n"
        "assert not {'torch', 'pyiqa', 'cv2'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


PLUGIN = """
from harness.evaluation.metrics import metric

@metric(id="mae_rgb", label="MAE", higher_is_better=False)
def mae_rgb(restored, clean):
    return float(abs(restored - clean).mean())
"""


def test_a_plugin_file_adds_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_PLUGINS", "")
    path = tmp_path / "mean_absolute_error.py"
    path.write_text(PLUGIN)
    use_plugins([path])
    (found,) = resolve_metrics(["mae_rgb"])
    a, b = images()
    assert found.function(a, b) == pytest.approx(np.abs(a - b).mean())
    assert metric_facts("mae_rgb") == MetricFacts("mae_rgb", "MAE", "", 4, False)


def test_an_id_is_one_metric_and_can_be_typed() -> None:
    def other(restored: np.ndarray, clean: np.ndarray) -> float:
        return 0.0

    with pytest.raises(UsageError, match="'psnr_rgb' is defined twice"):
        metric(id="psnr_rgb", label="x")(other)
    for name in ("pyiqa:mine", "a,b", ""):
        with pytest.raises(UsageError, match="is not allowed"):
            metric(id=name, label="x")
    assert isinstance(known_metrics()["psnr_rgb"], Metric)
