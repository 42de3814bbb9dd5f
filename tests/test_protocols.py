"""Protocols: what they do to two images, their YAML files, and several at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from harness.config.errors import HarnessError, UsageError
from harness.config.files import (
    load_protocol,
    load_protocols,
    load_setting,
    protocol_names,
    setting_names,
)
from harness.config.hashing import spec_hash
from harness.config.protocols import Protocol, Resize
from harness.config.settings import Setting
from harness.data.images.crops import centre_crop
from harness.data.on_disk.published_noise import published_noise
from harness.data.sources.synthetic import photograph_pairs
from harness.evaluation.metrics import Metric, resolve_metrics
from harness.evaluation.protocols import (
    apply_protocol,
    resized_size,
    score_pair,
    score_under,
    scored_sizes,
)
from tests.plans import plan_of

PSNR = [*resolve_metrics(["psnr_rgb"])]


def protocol(**values: object) -> Protocol:
    plain = {"id": "p", "metrics": ("psnr_rgb",)}
    return Protocol(**{**plain, **values})  # type: ignore[arg-type]


def pair(height: int = 37, width: int = 53, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    clean = (rng.integers(0, 256, (height, width, 3)) / np.float32(255)).astype(np.float32)
    restored = clean + np.float32(0.1) * rng.standard_normal(clean.shape).astype(np.float32)
    return restored, clean


# --- one protocol ---------------------------------------------------------------------


def test_protocol_clamps_quantises_and_removes_the_border() -> None:
    clean = np.full((20, 20, 3), 0.5, np.float32)
    restored = clean + np.float32(0.001)
    restored[0] = 9.0
    plain = score_pair(restored, clean, protocol(), PSNR)["psnr_rgb"]
    assert plain == pytest.approx(10 * np.log10(1 / (0.25 / 20 + 1e-6 * 19 / 20)), rel=1e-3)
    inner = score_pair(restored, clean, protocol(border_px=2), PSNR)["psnr_rgb"]
    assert inner == pytest.approx(60, abs=0.1)
    level = np.rint(0.5 * 255) / 255
    rounded = score_pair(restored, clean, protocol(border_px=2, quantise="round"), PSNR)["psnr_rgb"]
    assert rounded == pytest.approx(-20 * np.log10(level - 0.5), rel=1e-3)
    with pytest.raises(HarnessError, match="removes 10 pixels"):
        score_pair(restored, clean, protocol(border_px=10), PSNR)


def test_without_clamping_values_count_as_they_are() -> None:
    clean = np.ones((8, 8, 3))
    kept = score_pair(clean + 0.1, clean, protocol(clamp=False), PSNR)["psnr_rgb"]
    assert kept == pytest.approx(20)
    assert score_pair(clean + 0.1, clean, protocol(), PSNR)["psnr_rgb"] == float("inf")
    with pytest.raises(ValidationError, match="8-bit values are clamped"):
        protocol(clamp=False, quantise="round")


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("rule", ["round", "truncate"])
def test_quantising_keeps_what_is_8_bit(kind: type, rule: str) -> None:
    levels = np.arange(256).repeat(3).reshape(16, 16, 3).astype(kind) / kind(255)
    restored, clean = apply_protocol(levels, levels, protocol(quantise=rule))
    np.testing.assert_array_equal(restored, clean)


def test_truncating_is_half_a_level_darker_than_rounding() -> None:
    restored = np.random.default_rng(0).random((64, 64, 3))
    low, near = (
        apply_protocol(restored, restored, protocol(quantise=rule))[0]
        for rule in ("truncate", "round")
    )
    assert 255 * np.mean(near - low) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(np.rint(low * 255), np.floor(restored * 255))


@pytest.mark.parametrize(
    ("at", "rows", "columns"),
    [
        ("centre", (2, 34), (2, 50)),
        ("top-left", (0, 32), (0, 48)),
        ("bottom-right", (5, 37), (5, 53)),
    ],
)
def test_crop_keeps_the_part_it_names(
    at: str, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    restored, clean = pair()
    rule = protocol(crop_multiple=16, crop_at=at)
    a, b = apply_protocol(np.clip(restored, 0, 1), clean, rule)
    np.testing.assert_array_equal(b, clean[slice(*rows), slice(*columns)])
    np.testing.assert_array_equal(a, np.clip(restored, 0, 1)[slice(*rows), slice(*columns)])


def test_centre_crop_is_that_of_preprocessing() -> None:
    levels = np.random.default_rng(1).integers(0, 256, (321, 481, 3), dtype=np.uint8)
    unit = levels / np.float32(255)
    cut = apply_protocol(unit, unit, protocol(crop_multiple=16))[1]
    np.testing.assert_array_equal(cut, centre_crop(levels, 16, None) / np.float32(255))
    # What is cut already is scored as what is not.
    np.testing.assert_array_equal(apply_protocol(cut, unit, protocol(crop_multiple=16))[0], cut)
    assert apply_protocol(cut, cut, protocol(crop_multiple=16))[1].shape == cut.shape


def test_sizes_that_no_rule_explains_are_refused() -> None:
    restored, clean = pair()
    for rule in (protocol(), protocol(crop_multiple=16)):
        with pytest.raises(HarnessError, match="53x36 and 53x37"):
            score_pair(restored[:-1], clean, rule, PSNR)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 720), (480, 720)),  # Outdoor-Rain
        ((321, 481), (336, 496)),
        ((1000, 2000), (512, 1024)),
        ((2000, 1001), (1024, 528)),  # 512.5 up to 513, then to a multiple
        ((1024, 1024), (1024, 1024)),
    ],
)
def test_resizing_follows_weather_diffusion(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert resized_size(size, Resize(long_side_px=1024, multiple=16)) == expected


def test_resizing_is_pillow_on_8_bit_values() -> None:
    restored, clean = pair(20, 50)
    rule = protocol(resize=Resize(long_side_px=40, multiple=8))
    a, b = apply_protocol(np.clip(restored, 0, 1), clean, rule)
    levels = Image.fromarray(np.rint(clean * 255).astype(np.uint8))
    expected = np.asarray(levels.resize((40, 16), Image.Resampling.LANCZOS)) / np.float32(255)
    np.testing.assert_array_equal(b, expected)
    assert a.shape == (16, 40, 3)
    # What a network made of resized images is left as it is.
    np.testing.assert_array_equal(apply_protocol(a, clean, rule)[0], a)
    assert scored_sizes((20, 50), rule)[:2] == ((20, 50), (16, 40))


# --- several at once --------------------------------------------------------------------


@settings(max_examples=15)
@given(
    seed=st.integers(0, 99),
    names=st.lists(st.sampled_from(protocol_names()), min_size=1, unique=True),
)
def test_several_protocols_give_what_each_gives_alone(seed: int, names: list[str]) -> None:
    restored, clean = pair(seed=seed)
    chosen = {p.id: p for p in (load_protocol(n).protocol for n in names)}
    together = score_under(restored, clean, chosen.values())
    assert together == {
        p.id: score_pair(restored, clean, p, resolve_metrics(p.metrics)) for p in chosen.values()
    }


def test_what_protocols_share_is_computed_once() -> None:
    calls = []

    def count(a: np.ndarray, b: np.ndarray) -> float:
        calls.append(a.shape)
        return 1.0

    known = {"x": Metric("x", "x", "", 2, True, count, concurrent=False)}
    rules = [
        protocol(id="a", metrics=("x",)),
        protocol(id="b", metrics=("x",)),
        protocol(id="c", metrics=("x",), border_px=4),
    ]
    assert set(score_under(*pair(), rules, known)) == {"a", "b", "c"}
    assert calls == [(37, 53, 3), (29, 45, 3)]


# --- YAML files -------------------------------------------------------------------------


@pytest.mark.parametrize("name", protocol_names())
def test_every_file_is_whole(name: str) -> None:
    named = load_protocol(name)
    assert named.family in "ABCDE"
    assert named.sources
    assert resolve_metrics(named.protocol.metrics)


def test_one_id_is_one_rule() -> None:
    rules: dict[str, Protocol] = {}
    for name in protocol_names():
        found = load_protocol(name).protocol
        assert rules.setdefault(found.id, found) == found, name
    assert len(set(rules.values())) == len(rules)
    for name in setting_names():
        stated = load_setting(name).protocol
        assert rules.get(stated.id, stated) == stated, name


def test_hashes_of_protocols_are_stable() -> None:
    # A change here renames the rows of every user: only a change of the rule may do so.
    hashes = {n: spec_hash(load_protocol(n).protocol) for n in HASHES}
    assert hashes == HASHES


HASHES = {
    "all-weather-y": "a9e9443624322a4f",
    "basicsr-y": "a9e9443624322a4f",
    "five-task": "22d49b5eafd3dcc8",
    "histoformer": "ba20bfe478c076db",
    "instructir": "879a9d9d33ceecb8",
    "mioir": "343030c4c81dda1b",
    "mioir-ssim": "4e05416a87eabec3",
    "moce-ir": "bdd9d7e372cd5e5e",
    "moce-ir-composite": "3e97f86115837a00",
    "onerestore": "008ae9cbed8c1ee0",
    "three-task": "22d49b5eafd3dcc8",
    "three-task-png": "a7d32c0b302f6033",
    "weatherbench": "6b1df144300ab63b",
    "weatherbench-cpl": "a9e9443624322a4f",
    "weatherdiffusion": "5a6c2a7f00234812",
}


def test_protocols_that_are_one_rule_are_not_scored_twice() -> None:
    with pytest.raises(UsageError, match="'three-task' and 'five-task' are one rule"):
        load_protocols(["three-task", "five-task"])
    with pytest.raises(UsageError, match="did you mean 'mioir'"):
        load_protocols(["mior"])


def test_a_setting_names_its_protocol_or_states_it() -> None:
    setting = load_setting("three-task")
    assert setting.protocol == load_protocol("three-task").protocol
    content = setting.model_dump()
    content["protocol"] = {
        "id": "x",
        "metrics": ["psnr_rgb"],
        "border_px": 4,
        "quantise": True,
    }
    assert Setting.model_validate(content).protocol.quantise == "round"
    content["protocol"]["quantise"] = False
    assert Setting.model_validate(content).protocol.quantise == "none"


def test_the_crop_of_three_task_changes_no_value_of_pairs_that_are_cut(setting: Setting) -> None:
    test = plan_of(["degraded-input"]).test.model_copy(update={"centre_px": None})
    made = photograph_pairs(test).make(setting.columns[0].name, "coffee#0")
    stated = protocol(metrics=setting.protocol.metrics)
    chosen = resolve_metrics(stated.metrics)
    scores = [score_pair(made.degraded, made.clean, p, chosen) for p in (stated, setting.protocol)]
    assert scores[0] == scores[1]


# --- noise as published -------------------------------------------------------------------


def test_published_noise_is_one_stream_through_all_levels() -> None:
    rng = np.random.default_rng(0)
    sizes = [(16, 32), (32, 16), (16, 16)]
    clean = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    # The published lines, on the global stream.
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        expected = []
        for sigma in (15, 25, 50):
            for image in clean:
                noise = np.random.randn(*image.shape)  # noqa: NPY002
                expected.append(np.clip(image + noise * sigma, 0, 255).astype(np.uint8))
    finally:
        np.random.set_state(state)  # noqa: NPY002
    found = list(published_noise(clean))
    assert [(n.sigma_255, n.index) for n in found] == [
        (s, i) for s in (15, 25, 50) for i in range(3)
    ]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.degraded, other)
    # Level 25 alone is other noise than level 25 after level 15.
    alone = next(published_noise(clean, (25.0,)))
    assert (alone.degraded != found[3].degraded).any()


def test_published_noise_leaves_the_global_stream_alone() -> None:
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]  # noqa: NPY002
    list(published_noise([np.zeros((4, 4, 3), np.uint8)]))
    after = np.random.get_state()[1]  # type: ignore[index]  # noqa: NPY002
    np.testing.assert_array_equal(before, after)


def test_first_numbers_of_the_published_stream() -> None:
    grey = np.full((1, 2, 3), 128, np.uint8)
    first = next(published_noise([grey])).degraded
    # 128 + 15 * (1.764, 0.400, 0.979, 2.241, 1.868, -0.977), cut off.
    assert first.ravel().tolist() == [154, 134, 142, 161, 156, 113]


def test_keyed_pairs_refuse_the_published_stream(setting: Setting) -> None:
    other = setting.preprocessing.model_copy(update={"id": "seed0", "noise_stream": "published"})
    test = plan_of(["degraded-input"]).test.model_copy(update={"preprocessing": other})
    with pytest.raises(UsageError, match="'seed0' asks for the published noise stream"):
        photograph_pairs(test).make(setting.columns[0].name, "coffee#0")
