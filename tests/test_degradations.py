"""Degradations: golden pixels, statistics and properties of each kind."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from benchmarks.gallery import ROWS, cut
from harness.config.degradation import AnyDegradation, built_in_kinds, degradation_class
from harness.config.files import load_setting, setting_names
from harness.config.seeding import generator
from harness.data.synthetic.degradations.composed import Composed
from harness.data.synthetic.degradations.defocus import Defocus, disc
from harness.data.synthetic.degradations.gaussian_blur import GaussianBlur
from harness.data.synthetic.degradations.haze import Haze, scatter
from harness.data.synthetic.degradations.jpeg import Jpeg
from harness.data.synthetic.degradations.low_light import LowLight
from harness.data.synthetic.degradations.motion_blur import MotionBlur, path
from harness.data.synthetic.degradations.noise import Noise
from harness.data.synthetic.degradations.rain import Rain
from harness.data.synthetic.degradations.raindrops import Glass, Raindrops
from harness.data.synthetic.degradations.resample import Resample, down_and_up
from harness.data.synthetic.degradations.snow import Snow
from harness.data.synthetic.degrade import degrade
from harness.data.synthetic.depth import depth_maps
from harness.data.synthetic.light import to_display, to_linear
from harness.planning.plan import make_plan
from harness.planning.request import RunRequest

# Own ranges, so that a new version of a setting changes nothing here.
RANGES: dict[str, AnyDegradation] = {
    "noise": Noise(kind="noise", sigma_255=(10, 30)),
    "haze": Haze(kind="haze", beta=(0.6, 1.8), airlight=(0.8, 1.0)),
    "rain": Rain(
        kind="rain",
        density=(0.004, 0.008),
        length_px=(12, 24),
        width_px=(0.8, 1.6),
        angle_deg=(-20, 20),
        strength=(0.4, 0.7),
    ),
    "gaussian-blur": GaussianBlur(kind="gaussian-blur", sigma_px=(1, 3), kernel_px=(7, 13, 21)),
    "defocus": Defocus(kind="defocus", radius_px=(1, 5)),
    "motion-blur": MotionBlur(
        kind="motion-blur", length_px=(4, 20), bend_deg=(-60, 60), roll_deg=(-1, 1)
    ),
    "low-light": LowLight(
        kind="low-light",
        exposure=(0.03, 0.1),
        white_electrons=(2000, 4000),
        read_electrons=(2, 6),
    ),
    "dark": LowLight(kind="low-light", gamma=(2, 3)),
    "low-illumination": LowLight(
        kind="low-light", gamma=(2, 3), illumination_px=7, noise_255=(4, 10)
    ),
    "snow": Snow(
        kind="snow",
        density=(0.006, 0.015),
        diameter_px=(1.2, 14),
        opacity=(0.7, 0.95),
        motion=(0, 2),
        angle_deg=(-30, 30),
        veil=(0, 0.1),
    ),
    "raindrops": Raindrops(
        kind="raindrops", coverage=(0.2, 0.4), radius_px=(4, 16), shrinking=(2, 4), blur_px=(1, 3)
    ),
    "jpeg": Jpeg(kind="jpeg", quality=(10, 40)),
    "resample": Resample(kind="resample", factor=4, kernel="antialiased"),
    "resample-point": Resample(kind="resample", factor=4, kernel="point"),
}
RANGES["composed"] = Composed.model_validate(
    {
        "kind": "composed",
        "parts": [RANGES[name] for name in ("low-illumination", "rain", "snow", "haze")],
    }
)

# Every eighth pixel of the middle row, green channel, in grey levels.
GOLDEN = {
    "noise": [38, 47, 68, 112, 72, 106, 110, 168],
    "haze": [130, 144, 157, 168, 177, 184, 193, 202],
    "rain": [40, 183, 70, 86, 105, 116, 131, 147],
    "gaussian-blur": [74, 62, 95, 126, 141, 175, 154, 219],
    "defocus": [73, 64, 99, 129, 140, 174, 156, 214],
    "motion-blur": [67, 64, 102, 134, 137, 161, 161, 214],
    "low-light": [23, 8, 23, 27, 40, 44, 40, 58],
    "dark": [13, 8, 22, 41, 62, 97, 73, 186],
    "low-illumination": [31, 22, 40, 59, 81, 117, 121, 183],
    "snow": [75, 61, 94, 121, 176, 188, 153, 224],
    "raindrops": [74, 60, 117, 113, 142, 171, 132, 145],
    "jpeg": [73, 56, 77, 120, 140, 166, 173, 224],
    "resample": [71, 62, 97, 130, 142, 179, 151, 211],
    "resample-point": [66, 66, 102, 125, 131, 179, 154, 201],
    "composed": [167, 166, 147, 153, 165, 177, 185, 202],
}


def ramp(count: int = 1, height: int = 32, width: int = 64) -> np.ndarray:
    levels = np.linspace(40, 160, width).round() / 255
    return np.broadcast_to(levels, (count, 3, height, width)).astype(np.float32)


def unrounded(
    clean: np.ndarray, ranges: AnyDegradation, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    return ranges.apply(clean, rngs)


COMPUTED = [kind for kind in built_in_kinds() if kind != "given"]
"""What comes with files is not computed."""


def of_kind(kind: str) -> list[AnyDegradation]:
    return [ranges for ranges in RANGES.values() if ranges.kind == kind]


@pytest.mark.parametrize("kind", COMPUTED)
def test_every_kind_is_keyed_in_range_and_has_a_version(kind: str) -> None:
    cls = degradation_class(kind)
    assert cls.version >= 1
    assert of_kind(kind), f"RANGES has no degradation of kind {kind}"
    for ranges in of_kind(kind):
        assert type(ranges) is cls
        assert ranges.versions()[kind] == cls.version
        clean = textured(2, 40, 48)
        first = degrade(clean, ranges, [generator(kind, k) for k in range(2)], "round")
        again = degrade(clean, ranges, [generator(kind, k) for k in range(2)], "round")
        other = degrade(clean, ranges, [generator(kind, k) for k in range(7, 9)], "round")
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other) or kind == "resample"
        assert first.dtype == np.float32
        assert first.shape == clean.shape
        assert first.min() >= 0
        assert first.max() <= 1


def weights_id(setting: str) -> str:
    request = RunRequest(methods=("promptir",), setting=setting, out=Path("unused"))
    return make_plan(request).runs[-1].weights_id


@pytest.fixture(scope="module")
def weights_ids() -> dict[str, str]:
    return {name: weights_id(name) for name in setting_names()}


@pytest.mark.parametrize("kind", COMPUTED)
def test_a_new_version_changes_the_weights_of_settings_that_use_the_kind_alone(
    kind: str, weights_ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = degradation_class(kind)
    monkeypatch.setattr(cls, "version", cls.version + 1)
    for name, before in weights_ids.items():
        uses = any(kind in task.degradation.versions() for task in load_setting(name).tasks)
        assert (weights_id(name) != before) == uses, name


def textured(count: int = 1, height: int = 32, width: int = 64) -> np.ndarray:
    """Squares of random colours on a ramp: something that blur and codes take away."""
    squares = generator("textured").integers(0, 80, (count, 3, -(-height // 5), -(-width // 5)))
    large = squares.repeat(5, axis=2).repeat(5, axis=3)[:, :, :height, :width]
    return (np.rint(ramp(count, height, width) * 255) + large).astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("kind", RANGES)
def test_golden_pixels(kind: str) -> None:
    """The same key gives the same pixels: if not, the version of the kind must be raised."""
    clean = ramp() if kind in ("noise", "haze", "rain") else textured()
    drawn = degrade(clean, RANGES[kind], [generator("golden", kind)], "truncate")
    pixels = np.rint(drawn[0, 1, 16, ::8] * 255)
    np.testing.assert_allclose(pixels, GOLDEN[kind], atol=1)


@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(RANGES)),
    keys=st.lists(st.integers(0, 10**6), min_size=2, max_size=9),
    height=st.integers(16, 70),
    width=st.integers(16, 70),
)
def test_batch_mates_and_order_change_nothing(
    kind: str, keys: list[int], height: int, width: int
) -> None:
    clean = textured(len(keys), height, width)
    turned = np.ascontiguousarray(clean[::-1])
    there = degrade(clean, RANGES[kind], [generator(k) for k in keys], "truncate")
    back = degrade(turned, RANGES[kind], [generator(k) for k in keys[::-1]], "truncate")
    alone = degrade(clean[:1], RANGES[kind], [generator(keys[0])], "truncate")
    assert np.array_equal(there, back[::-1])
    assert np.array_equal(there[:1], alone)


@pytest.mark.parametrize("kind", RANGES)
def test_the_clean_image_is_left_alone(kind: str) -> None:
    clean = ramp(2).copy()
    degrade(clean, RANGES[kind], [generator(1), generator(2)], "truncate")
    assert np.array_equal(clean, ramp(2))


@pytest.mark.parametrize("kind", RANGES)
def test_results_are_8_bit_in_range_and_changed(kind: str) -> None:
    clean = textured(3, 48, 48)
    drawn = degrade(clean, RANGES[kind], [generator("r", k) for k in range(3)], "round")
    assert drawn.shape == clean.shape
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert np.array_equal(drawn, (np.rint(drawn * 255) / np.float32(255)).astype(np.float32))
    assert (np.abs(drawn - clean).mean(axis=(1, 2, 3)) > 0.5 / 255).all()


@pytest.mark.parametrize(("name", "window", "at"), ROWS, ids=[row[0] for row in ROWS])
def test_what_the_gallery_calls_stronger_is_stronger(name: str, window: tuple, at) -> None:  # type: ignore[no-untyped-def, type-arg]
    image = cut(*window, side=96)
    clean = (image.astype(np.float32) / 255).transpose(2, 0, 1)[None].repeat(6, axis=0)
    errors = []
    for strength in (0.0, 0.5, 1.0):
        ranges = TypeAdapter(AnyDegradation).validate_python(at(strength))
        drawn = degrade(clean, ranges, [generator(name, k) for k in range(6)], "round")
        errors.append(float(np.mean((drawn - clean) ** 2)))
    assert 0 < errors[0] < errors[1] < errors[2]


def test_a_composition_is_its_parts_in_order() -> None:
    clean = textured(2)
    composed = RANGES["composed"]
    assert isinstance(composed, Composed)
    rngs = [generator("composed", k) for k in range(2)]
    step = clean
    for part in composed.parts:
        step = unrounded(step, part, rngs)
    expected = (np.rint(np.clip(step, 0, 1) * 255) / np.float32(255)).astype(np.float32)
    rngs = [generator("composed", k) for k in range(2)]
    assert np.array_equal(degrade(clean, composed, rngs, "round"), expected)
    alone = Composed.model_validate({"kind": "composed", "parts": [RANGES["snow"]]})
    first, second = (
        degrade(clean, r, [generator(k) for k in range(2)], "round")
        for r in (alone, RANGES["snow"])
    )
    assert np.array_equal(first, second)


def test_compositions_do_not_nest_and_kernels_are_odd() -> None:
    composed = {"kind": "composed", "parts": [RANGES["composed"].model_dump()]}
    with pytest.raises(ValidationError):
        Composed.model_validate(composed)
    with pytest.raises(ValidationError, match="odd"):
        GaussianBlur(kind="gaussian-blur", sigma_px=(1, 2), kernel_px=(7, 8))


NEUTRAL: dict[str, AnyDegradation] = {
    "gaussian-blur": GaussianBlur(kind="gaussian-blur", sigma_px=(0, 0), kernel_px=(7,)),
    "defocus": Defocus(kind="defocus", radius_px=(0, 0)),
    "motion-blur": MotionBlur(
        kind="motion-blur", length_px=(0, 0), bend_deg=(9, 9), roll_deg=(0, 0)
    ),
    "low-light": LowLight(kind="low-light"),
    "snow": Snow(
        kind="snow",
        density=(0, 0),
        diameter_px=(1, 9),
        opacity=(1, 1),
        motion=(1, 1),
        angle_deg=(0, 0),
        veil=(0, 0),
    ),
    "raindrops": Raindrops(
        kind="raindrops", coverage=(0, 0), radius_px=(4, 9), shrinking=(2, 2), blur_px=(1, 1)
    ),
}


@pytest.mark.parametrize("kind", NEUTRAL)
def test_a_degradation_of_no_strength_changes_nothing(kind: str) -> None:
    clean = textured()
    same = degrade(clean, NEUTRAL[kind], [generator("neutral")], "round")
    np.testing.assert_allclose(same, clean, atol=1e-6)


def test_no_noise_is_the_identity_under_every_rounding() -> None:
    clean = (np.arange(256, dtype=np.float32) / 255).reshape(1, 1, 16, 16).repeat(3, axis=1)
    silent = Noise(kind="noise", sigma_255=(0, 0))
    for rounding in ("truncate", "round", "none"):
        same = degrade(clean, silent, [generator("s")], rounding)  # type: ignore[arg-type]
        np.testing.assert_allclose(same, clean, atol=1e-6)


def test_noise_is_white_across_pixels_and_channels() -> None:
    clean = np.full((1, 3, 128, 128), 128 / 255, np.float32)
    fixed = Noise(kind="noise", sigma_255=(20, 20))
    noise = (degrade(clean, fixed, [generator("white")], "none") - clean)[0] * 255
    red, green, _ = noise
    for a, b in ((red, green), (red[:, 1:], red[:, :-1]), (red[1:], red[:-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03


@given(beta=st.floats(0.1, 3), depth=st.floats(0, 1), light=st.floats(0.5, 1))
def test_haze_is_between_scene_and_airlight(beta: float, depth: float, light: float) -> None:
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


# --- light, blur, resolution, codes ---------------------------------------------------


def test_linear_light_and_back() -> None:
    levels = (np.arange(256) / 255).astype(np.float32)
    np.testing.assert_allclose(to_display(to_linear(levels)), levels, atol=1e-5)
    assert to_linear(levels)[128] == pytest.approx((128 / 255) ** 2.2, rel=1e-4)


def test_shake_averages_light_and_keeps_a_plain_image() -> None:
    clean = np.full((1, 3, 40, 40), 100 / 255, np.float32)
    clean[:, :, :, 20:] = 1
    ranges = MotionBlur(kind="motion-blur", length_px=(30, 30), bend_deg=(0, 0), roll_deg=(0, 0))
    blurred = degrade(clean, ranges, [generator("light", 1)], "round")[0, 0, 20]
    between = blurred[(blurred > 101 / 255) & (blurred < 254 / 255)]
    assert len(between) > 4
    plain = degrade(clean[..., :20].copy(), ranges, [generator("light")], "round")
    assert np.array_equal(plain, clean[..., :20])
    # In light, a half of white and half of grey is nearer to white than their mean.
    half = to_display((to_linear(np.float32([100 / 255])) + 1) / 2)[0]
    assert half > (100 / 255 + 1) / 2


@given(
    key=st.integers(0, 10**6),
    length=st.floats(0.5, 40),
    bend=st.floats(-3, 3),
    steps=st.integers(1, 40).map(lambda n: 2 * n + 1),
)
def test_a_path_has_its_length_and_its_middle_at_rest(
    key: int, length: float, bend: float, steps: int
) -> None:
    offsets = path(length, bend, steps, generator(key))
    assert offsets.shape == (steps, 2)
    assert np.allclose(offsets[steps // 2], 0)
    assert np.hypot(*np.diff(offsets, axis=0).T).sum() == pytest.approx(length)


@given(radius=st.floats(0, 12))
def test_a_disc_is_round_and_whole(radius: float) -> None:
    kernel = disc(radius)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert np.array_equal(kernel, kernel.T)
    assert np.array_equal(kernel, kernel[::-1])
    if radius > 2:
        assert 1 / kernel.max() == pytest.approx(np.pi * radius**2, rel=0.08)


def test_gaussian_blur_has_its_deviation() -> None:
    clean = np.zeros((1, 3, 41, 41), np.float32)
    clean[:, :, 20, 20] = 1
    ranges = GaussianBlur(kind="gaussian-blur", sigma_px=(2, 2), kernel_px=(21,))
    spread = unrounded(clean, ranges, [generator("g")])[0, 0].astype(np.float64)
    offset = np.arange(41) - 20
    assert (spread.sum(axis=0) * offset**2).sum() == pytest.approx(4, rel=0.01)


@given(
    size=st.integers(16, 90),
    factor=st.integers(2, 4),
    phase=st.integers(0, 3),
    antialiased=st.booleans(),
)
def test_resampling_keeps_plain_images_and_ramps(
    size: int, factor: int, phase: int, antialiased: bool
) -> None:
    matrix = down_and_up(size, factor, min(phase, factor - 1), antialiased)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)
    straight = matrix @ np.arange(size, dtype=np.float32)
    inner = slice(4 * factor, size - 4 * factor)
    np.testing.assert_allclose(straight[inner], np.arange(size)[inner], atol=0.6)


def test_point_resampling_is_torchs() -> None:
    import torch
    import torch.nn.functional as F

    image = torch.from_numpy(textured(1, 64, 64))
    small = F.interpolate(image, scale_factor=0.25, mode="bicubic")
    large = F.interpolate(small, scale_factor=4, mode="bicubic")[0].numpy()
    matrix = down_and_up(64, 4, 0, antialiased=False)
    np.testing.assert_allclose(matrix @ textured(1, 64, 64)[0] @ matrix.T, large, atol=1e-4)


def test_a_narrow_grating_survives_sampling_without_a_filter_as_another() -> None:
    grating = (np.arange(96) % 3 == 0).astype(np.float32)
    errors = [(down_and_up(96, 4, 0, a) @ grating)[16:-16].std() for a in (False, True)]
    assert errors[0] > 3 * errors[1], "without a low-pass filter it turns into a coarser one"


def test_jpeg_is_what_the_encoder_writes() -> None:
    """On the block grid (the corner drawn as 0, 0) it is a saved file read again."""
    clean = textured(1, 48, 48)
    ranges = Jpeg(kind="jpeg", quality=(25, 25))
    key = next(k for k in range(4000) if _corner(k) == (0, 0))
    drawn = degrade(clean, ranges, [generator(key)], "round")[0].transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.rint(clean[0].transpose(1, 2, 0) * 255).astype(np.uint8)).save(
        file, "JPEG", quality=25
    )
    assert np.array_equal(np.rint(drawn * 255), np.asarray(Image.open(file)))


def _corner(key: int) -> tuple[int, int]:
    rng = generator(key)
    rng.uniform(25, 25)
    above, before = rng.integers(16, size=2)
    return int(above), int(before)


# --- darkness -------------------------------------------------------------------------


def test_gamma_darkens_by_its_power() -> None:
    ranges = LowLight(kind="low-light", gamma=(2.5, 2.5))
    dark = degrade(ramp(), ranges, [generator("gamma")], "round")
    np.testing.assert_allclose(dark, ramp() ** 2.5, atol=0.51 / 255)


def test_photon_noise_grows_as_the_root_of_light() -> None:
    clean = np.repeat(np.float32([0.3, 0.9]), 128 * 64).reshape(1, 1, 128, 128).repeat(3, axis=1)
    ranges = LowLight(kind="low-light", exposure=(0.2, 0.2), white_electrons=(9000, 9000))
    light = to_linear(unrounded(clean, ranges, [generator("photons")]))[0]
    for part, level in ((light[:, :64], 0.3), (light[:, 64:], 0.9)):
        mean = 0.2 * level**2.2
        assert part.mean() == pytest.approx(mean, rel=0.02)
        assert part.std() == pytest.approx((mean / 9000) ** 0.5, rel=0.05)


def test_illumination_leaves_the_contrast_of_details() -> None:
    """Retinex darkens the light and not the reflectance: ratios of neighbours stay."""
    fine = np.where(np.indices((48, 48)).sum(axis=0) % 2, 0.5, 0.45).astype(np.float32)
    clean = np.broadcast_to(fine, (1, 3, 48, 48)).copy()
    whole, local = (
        unrounded(
            clean,
            LowLight(kind="low-light", gamma=(3, 3), illumination_px=radius),
            [generator("illumination")],
        )[0, 0, 24, 24:26]
        for radius in (0, 9)
    )
    assert whole.max() / whole.min() == pytest.approx((0.5 / 0.45) ** 3, rel=0.01)
    assert local.max() / local.min() < (0.5 / 0.45) ** 2
    assert local.max() < 0.2


# --- snow and drops -------------------------------------------------------------------


@settings(max_examples=15)
@given(key=st.integers(0, 10**6))
def test_snow_is_between_the_scene_and_white(key: int) -> None:
    clean = ramp() * np.float32(0.5)
    snowy = unrounded(clean, RANGES["snow"], [generator(key)])
    assert (snowy >= clean - 1e-6).all()
    assert snowy.max() <= 1
    # A flake is white: it takes the same share of every channel.
    assert np.ptp(snowy, axis=1).max() < 1e-6


def test_snow_falls_everywhere_alike_and_large_flakes_are_rare() -> None:
    clean = np.zeros((60, 3, 48, 48), np.float32)
    snowy = unrounded(clean, RANGES["snow"], [generator("flakes", k) for k in range(60)])
    parts = [snowy[..., :8], snowy[..., 20:28], snowy[..., -8:], snowy[:, :, :8], snowy[:, :, -8:]]
    means = [part.mean() for part in parts]
    assert max(means) < 1.4 * min(means)
    assert snowy.mean() < 0.5


def test_a_drop_shows_the_scene_upside_down() -> None:
    glass = Glass(81, 81)
    glass.add(20, 40.0, 40.0, 3.0, generator("drop"))
    assert glass.mask[40, 40] > 0.8
    assert glass.mask[0, 0] == 0
    assert np.array_equal(glass.source_y[:5, :5], np.mgrid[:5, :5][0])
    inside = slice(32, 49)
    assert (np.diff(glass.source_y[inside, 40]) < 0).all(), "what is above is seen below"
    assert (np.diff(glass.source_x[40, inside]) < 0).all()
    assert np.diff(glass.source_x[40, inside]).mean() == pytest.approx(-3, rel=0.2)
    assert glass.shade[40, 40] > glass.shade[40, 40 + 18]


def test_drops_cover_about_what_was_asked_for() -> None:
    clean = np.zeros((30, 3, 64, 64), np.float32)
    clean[:, :, ::2] = 1
    ranges = Raindrops(
        kind="raindrops", coverage=(0.2, 0.2), radius_px=(4, 12), shrinking=(3, 3), blur_px=(2, 2)
    )
    drawn = unrounded(clean, ranges, [generator("cover", k) for k in range(30)])
    wet = (np.abs(drawn - clean).max(axis=1) > 0.25).mean()
    assert 0.12 < wet < 0.28
