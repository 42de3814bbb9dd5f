"""Keys, degradations, the training stream and test pairs of the synthetic source."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config.recipe_files import load_recipe
from harness.config.run_specs import SyntheticTrainingData
from harness.config.seeding import generator, integer_seed
from harness.config.settings import Setting
from harness.data.images.crops import centre_crop, turn
from harness.data.sources.stream import CropStream
from harness.data.sources.synthetic import photograph_pairs
from harness.data.synthetic.degradations.haze import scatter
from harness.data.synthetic.degradations.noise import Noise
from harness.data.synthetic.degradations.rain import streak
from harness.data.synthetic.degrade import degrade
from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest

GOLDEN = 0.5549249124593238


def test_keys_depend_on_parts_types_and_order() -> None:
    def draw(*parts: str | int) -> float:
        return float(generator(*parts).random())

    assert draw("a", 1) == draw("a", 1)
    assert len({draw("a", 1), draw("a", "1"), draw("a1"), draw(1, "a"), draw("a", 2)}) == 5
    assert draw("golden", 7) == pytest.approx(GOLDEN, abs=1e-15)
    assert 0 <= integer_seed("a") < 2**63


# --- degradations -------------------------------------------------------------------

KINDS = ["denoise15", "denoise50", "dehaze", "derain"]


def clean_batch(count: int, height: int = 24, width: int = 32) -> np.ndarray:
    values = generator("clean", count).integers(0, 256, (count, 3, height, width))
    return (values / 255).astype(np.float32)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=8)
@given(keys=st.lists(st.integers(0, 10**6), min_size=1, max_size=4))
def test_a_sample_does_not_see_its_batch(setting: Setting, name: str, keys: list[int]) -> None:
    ranges, clean = setting.task(name).degradation, clean_batch(len(keys))
    together = degrade(clean, ranges, [generator("k", k) for k in keys], "truncate")
    for i, key in enumerate(keys):
        alone = degrade(clean[i : i + 1], ranges, [generator("k", key)], "truncate")
        assert np.array_equal(together[i], alone[0])


@pytest.mark.parametrize("name", KINDS)
def test_degraded_images_are_8_bit_and_in_range(setting: Setting, name: str) -> None:
    clean = clean_batch(3)
    rngs = [generator("r", k) for k in range(3)]
    degraded = degrade(clean, setting.task(name).degradation, rngs, "truncate")
    assert degraded.shape == clean.shape
    assert degraded.dtype == np.float32
    assert degraded.min() >= 0
    assert degraded.max() <= 1
    np.testing.assert_allclose(degraded * 255, np.rint(degraded * 255), atol=1e-3)
    assert not np.array_equal(degraded, clean)


@pytest.mark.parametrize(("rounding", "shift"), [("truncate", -0.5), ("round", 0.0), ("none", 0.0)])
def test_noise_has_its_deviation_and_truncation_shifts_by_half(rounding: str, shift: float) -> None:
    clean = np.full((1, 3, 256, 256), 128 / 255, np.float32)
    noise_25 = Noise(kind="noise", sigma_255=(25, 25))
    noisy = degrade(clean, noise_25, [generator("n")], rounding)  # type: ignore[arg-type]
    error = (noisy - clean) * 255
    assert error.std() == pytest.approx(25, rel=0.01)
    assert error.mean() == pytest.approx(shift, abs=0.2)


def test_haze_follows_the_scattering_model() -> None:
    clean = np.full((1, 3, 1, 2), 0.2, np.float32)
    depth = np.array([[[0.0, 1.0]]], np.float32)
    hazy = scatter(clean, depth, np.array([1.0], np.float32), np.array([[0.9] * 3], np.float32))
    assert hazy[0, 0, 0, 0] == pytest.approx(0.2)
    assert hazy[0, 0, 0, 1] == pytest.approx(0.2 * np.exp(-1) + 0.9 * (1 - np.exp(-1)), rel=1e-5)


def test_rain_only_brightens_and_follows_its_angle(setting: Setting) -> None:
    clean = clean_batch(2) * np.float32(0.5)
    rngs = [generator("rain", k) for k in range(2)]
    rainy = degrade(clean, setting.task("derain").degradation, rngs, "truncate")
    assert (rainy >= clean - 0.5 / 255 - 1e-6).all()
    line = streak(12, length=16, width=1, angle_deg=0)
    assert line[12, 12] == pytest.approx(1, abs=0.01)
    assert line[5, 12] > 0.3, "an angle of zero is vertical"
    assert line[12, 5] < 0.01


# --- the stream ---------------------------------------------------------------------


def plan_of(recipe: str, seed: int = 0) -> Plan:
    request = RunRequest(methods=("promptir",), recipe=recipe, seeds=(seed,), out=Path("unused"))
    return make_plan(request)


def with_spec(stream: CropStream, **changes: object) -> CropStream:
    return replace(stream, spec=stream.spec.model_copy(update=changes))


@pytest.fixture
def stream() -> CropStream:
    plan = plan_of("smoke", 3)
    stream = plan.source.stream(plan.runs[-1].train, views=1)
    assert isinstance(stream, CropStream)
    return stream


def test_batches_are_a_function_of_the_step(stream: CropStream) -> None:
    forward = [stream.batch(step) for step in (0, 1, 5)]
    backward = [stream.batch(step) for step in (5, 1, 0)][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert a.tasks == b.tasks
        assert np.array_equal(a.degraded, b.degraded)
        assert np.array_equal(a.clean, b.clean)
    assert not np.array_equal(forward[0].clean, forward[1].clean)


def test_balanced_sampling_gives_every_task_its_turn(stream: CropStream) -> None:
    names = sorted(task.name for task in stream.tasks)
    assert all(sorted(stream.batch(step).tasks) == names for step in range(4))


def test_sampling_by_shares_follows_the_setting(stream: CropStream) -> None:
    train = stream.train.model_copy(update={"task_sampling": "shares"})
    stages = (stream.stages[0].model_copy(update={"steps": 3000}),)
    by_share = with_spec(stream, optimisation=train, seed=0, stages=stages)
    drawn = [by_share.batch_tasks(step)[0].name for step in range(3000)]
    assert drawn.count("dehaze") / 3000 == pytest.approx(72135 / 142431, abs=0.03)
    assert drawn.count("derain") / 3000 == pytest.approx(24000 / 142431, abs=0.03)


def test_stages_sample_their_tasks_alone(stream: CropStream) -> None:
    first = stream.stages[0]
    stages = (
        first.model_copy(update={"steps": 4, "tasks": ("dehaze",)}),
        first.model_copy(update={"steps": 8, "tasks": ("dehaze", "derain")}),
    )
    staged = with_spec(stream, stages=stages)
    assert all(set(staged.batch(step).tasks) == {"dehaze"} for step in range(4))
    later = [task for step in range(4, 12) for task in staged.batch(step).tasks]
    assert abs(later.count("dehaze") - later.count("derain")) <= 1


def test_second_views_are_other_crops_and_leave_the_first_as_they_are(
    stream: CropStream,
) -> None:
    one, two = stream.batch(2), replace(stream, views=2).batch(2)
    assert np.array_equal(one.degraded, two.degraded)
    assert one.second_view is None
    assert two.second_view is not None
    assert two.second_view.shape == two.degraded.shape
    assert not np.array_equal(two.second_view, two.degraded)
    again = replace(stream, views=2).batch(2).second_view
    assert again is not None
    assert np.array_equal(two.second_view, again)


def test_published_augmentation_never_leaves_a_patch_as_it_is(stream: CropStream) -> None:
    marker = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 3)
    turned = {turn(marker, mode).tobytes() for mode in range(8)}
    assert len(turned) == 8
    assert turn(marker, 0).tobytes() == marker.tobytes()
    assert load_recipe("paper").train.augmentation == "dihedral-without-identity"


def test_training_data_names_no_test_photograph(setting: Setting) -> None:
    data = plan_of("mini").runs[-1].train.data
    assert isinstance(data, SyntheticTrainingData)
    used = {photograph.name for photograph in (*data.train, *data.validation)}
    assert not used & set(setting.synthetic.test)


# --- pairs --------------------------------------------------------------------------


@given(height=st.integers(16, 80), width=st.integers(16, 80), multiple=st.sampled_from([1, 8, 16]))
def test_centre_crop_follows_the_published_rule(height: int, width: int, multiple: int) -> None:
    image = np.arange(height * width * 3, dtype=np.uint32).reshape(height, width, 3)
    cut = centre_crop(image, multiple, None)  # type: ignore[arg-type]
    top, left = height % multiple // 2, width % multiple // 2
    expected = image[
        top : height - (height % multiple - top), left : width - (width % multiple - left)
    ]
    assert np.array_equal(cut, expected)


def test_pairs_are_keyed_by_names_alone(setting: Setting) -> None:
    test = plan_of("paper").test.model_copy(update={"centre_px": 64})
    pairs = photograph_pairs(test)

    def degraded(image: str) -> np.ndarray:
        made = pairs.make("dehaze", image)
        assert made.clean.shape == made.degraded.shape == (64, 64, 3)
        return made.degraded

    assert np.array_equal(degraded("chelsea#0"), degraded("chelsea#0"))
    assert not np.array_equal(degraded("chelsea#0"), degraded("chelsea#1"))
    names = list(pairs.names())
    assert len(names) == len(set(names)) == sum(c.draws for c in setting.columns) * 4
    assert {pairs.data_set(column) for column, _ in names} == {"synthetic"}
