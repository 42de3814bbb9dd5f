"""Degradations: golden pixels, statistics and properties of each kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.degradations import degrade
from harness.data.degradations.depth import depth_maps
from harness.data.degradations.haze import scatter
from harness.data.keys import generator
from harness.spec import DegradationRange, HazeRange, NoiseRange, RainRange

# Own ranges, so that a new version of a card leaves these tests as they are.
RANGES: dict[str, DegradationRange] = {
    "noise": NoiseRange(kind="noise", sigma_255=(10, 30)),
    "haze": HazeRange(kind="haze", beta=(0.6, 1.8), airlight=(0.8, 1.0)),
    "rain": RainRange(
        kind="rain",
        density=(0.004, 0.008),
        length_px=(12, 24),
        width_px=(0.8, 1.6),
        angle_deg=(-20, 20),
        strength=(0.4, 0.7),
    ),
}

# Every eighth pixel of the middle row, green channel, in grey levels.
GOLDEN = {
    "noise": [38, 47, 68, 112, 72, 106, 110, 168],
    "haze": [130, 144, 157, 168, 177, 184, 193, 202],
    "rain": [40, 183, 70, 86, 105, 116, 131, 147],
}


def ramp(count: int = 1, height: int = 32, width: int = 64) -> np.ndarray:
    levels = np.linspace(40, 160, width).round() / 255
    return np.broadcast_to(levels, (count, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize("kind", RANGES)
def test_golden_pixels(kind: str) -> None:
    """The same key gives the same pixels: if not, GENERATOR_VERSION must be raised."""
    drawn = degrade(ramp(), RANGES[kind], [generator("golden", kind)], "truncate")
    pixels = np.rint(drawn[0, 1, 16, ::8] * 255)
    np.testing.assert_allclose(pixels, GOLDEN[kind], atol=1)


@settings(max_examples=20)
@given(
    kind=st.sampled_from(sorted(RANGES)),
    keys=st.lists(st.integers(0, 10**6), min_size=2, max_size=9),
    height=st.integers(16, 70),
    width=st.integers(16, 70),
)
def test_batch_mates_and_order_change_nothing(
    kind: str, keys: list[int], height: int, width: int
) -> None:
    clean = ramp(len(keys), height, width)
    there = degrade(clean, RANGES[kind], [generator(k) for k in keys], "truncate")
    back = degrade(clean, RANGES[kind], [generator(k) for k in keys[::-1]], "truncate")
    alone = degrade(clean[:1], RANGES[kind], [generator(keys[0])], "truncate")
    assert np.array_equal(there, back[::-1])
    assert np.array_equal(there[:1], alone)


@pytest.mark.parametrize("kind", RANGES)
def test_the_clean_image_is_left_alone(kind: str) -> None:
    clean = ramp(2).copy()
    degrade(clean, RANGES[kind], [generator(1), generator(2)], "truncate")
    assert np.array_equal(clean, ramp(2))


def test_no_noise_is_the_identity_under_every_rounding() -> None:
    clean = (np.arange(256, dtype=np.float32) / 255).reshape(1, 1, 16, 16).repeat(3, axis=1)
    silent = NoiseRange(kind="noise", sigma_255=(0, 0))
    for rounding in ("truncate", "round", "none"):
        kept = degrade(clean, silent, [generator("s")], rounding)  # type: ignore[arg-type]
        np.testing.assert_allclose(kept, clean, atol=1e-6)


def test_noise_is_white_across_pixels_and_channels() -> None:
    clean = np.full((1, 3, 128, 128), 128 / 255, np.float32)
    fixed = NoiseRange(kind="noise", sigma_255=(20, 20))
    noise = (degrade(clean, fixed, [generator("white")], "none") - clean)[0] * 255
    red, green, _ = noise
    for a, b in ((red, green), (red[:, 1:], red[:, :-1]), (red[1:], red[:-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03


@given(beta=st.floats(0.1, 3), depth=st.floats(0, 1), light=st.floats(0.5, 1))
def test_haze_lies_between_scene_and_airlight(beta: float, depth: float, light: float) -> None:
    scene = np.full((1, 3, 1, 1), 0.25, np.float32)
    hazy = scatter(
        scene,
        np.full((1, 1, 1), depth, np.float32),
        np.array([beta], np.float32),
        np.full((1, 3), light, np.float32),
    )
    t = np.exp(-beta * depth)
    np.testing.assert_allclose(hazy, 0.25 * t + light * (1 - t), rtol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (96, 144)])
def test_depth_is_bounded_and_never_a_plane(size: tuple[int, int]) -> None:
    maps = depth_maps(*size, [generator("plane", k) for k in range(60)])
    assert maps.shape == (60, *size)
    assert maps.min() >= 0.05
    assert maps.max() <= 1
    y, x = np.mgrid[: size[0], : size[1]]
    basis, _ = np.linalg.qr(np.stack([y.ravel(), x.ravel(), np.ones(y.size)], axis=1))
    flat = maps.reshape(60, -1).T.astype(np.float64)
    rest = (flat - basis @ (basis.T @ flat)).std(axis=0)
    assert rest.min() > 0.01
    assert np.median(rest) > 0.05


@settings(max_examples=15)
@given(key=st.integers(0, 10**6))
def test_rain_only_brightens_and_is_grey(key: int) -> None:
    clean = ramp()
    added = np.rint((degrade(clean, RANGES["rain"], [generator(key)], "truncate") - clean) * 255)
    assert added.min() >= 0
    assert added.max() > 20
    # A streak has the same brightness in all channels; rounding may part them by one level.
    assert np.ptp(added, axis=1).max() <= 1


def test_rain_wraps_around_no_border() -> None:
    # The same drops on an image and on its upper part only need not agree, but the first rows
    # must be as wet as the middle ones: streaks enter from outside.
    clean = np.zeros((40, 3, 48, 48), np.float32)
    wet = degrade(clean, RANGES["rain"], [generator("wet", k) for k in range(40)], "truncate")
    rows = wet.mean(axis=(0, 1, 3))
    assert rows[:4].mean() == pytest.approx(rows[22:26].mean(), rel=0.3)
    assert rows[-4:].mean() == pytest.approx(rows[22:26].mean(), rel=0.3)
