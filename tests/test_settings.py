"""Settings compared to the facts of their published protocols, and to each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.config.files import load_setting, setting_names
from harness.config.seeding import generator
from harness.config.settings import Setting
from harness.data.synthetic.degradations.composed import Composed
from harness.data.synthetic.degradations.gaussian_blur import GaussianBlur
from harness.data.synthetic.degradations.haze import Haze
from harness.data.synthetic.degradations.jpeg import Jpeg
from harness.data.synthetic.degradations.low_light import LowLight
from harness.data.synthetic.degradations.noise import Noise
from harness.data.synthetic.degradations.resample import Resample
from harness.data.synthetic.degrade import degrade
from harness.evaluation.metrics import known_metrics

EXAMPLE = Path(__file__).parents[1] / "examples" / "settings" / "three-task-clean.yaml"
SETTINGS = (
    "all-weather",
    "composite",
    "five-task",
    "foundir",
    "seven-task",
    "three-task",
    "union",
    "weatherbench",
    "weatherstream",
)


def test_the_settings_of_the_literature_are_there() -> None:
    assert set(SETTINGS) <= set(setting_names())


def test_the_example_with_clean_images_is_three_task_and_one_task_more() -> None:
    example, three = load_setting(str(EXAMPLE)), load_setting("three-task")
    assert [task for task in example.tasks if task.name != "clean"] == list(three.tasks)
    assert example.columns == three.columns
    assert (example.preprocessing, example.protocol) == (three.preprocessing, three.protocol)
    (clean,) = (task for task in example.tasks if task.name == "clean")
    images = (generator("clean").integers(0, 256, (1, 3, 32, 32)) / 255).astype(np.float32)
    rounding = example.preprocessing.noise_rounding
    same = degrade(images, clean.degradation, [generator("noise")], rounding)
    assert np.array_equal(np.rint(same * 255), np.rint(images * 255)), "nothing is to be done"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_can_be_used_as_it_is(name: str) -> None:
    setting = load_setting(name)
    assert set(setting.protocol.metrics) <= set(known_metrics())
    assert setting.sources
    assert len({c.label for c in setting.columns}) == len(setting.columns)
    assert all(ord(c) < 128 for column in setting.columns for c in column.latex_label)
    assert len({task.family for task in setting.tasks}) > 1, "a wrong prompt needs another family"
    levels = generator("setting").integers(0, 256, (2, 3, 64, 64))
    clean = (levels / 255).astype(np.float32)
    for task in setting.tasks:
        rngs = [generator(task.name, k) for k in range(2)]
        degraded = degrade(clean, task.degradation, rngs, setting.preprocessing.noise_rounding)
        assert np.abs(degraded - clean).max() > 2 / 255
        assert np.allclose(degraded * 255, np.rint(degraded * 255), atol=1e-3)


def test_all_settings_share_one_split() -> None:
    splits = set()
    for name in SETTINGS:
        data = load_setting(name).synthetic
        splits.add((data.train, data.validation, data.test))
    assert len(splits) == 1, "or a network trained in one setting has seen another's test"


def test_five_tasks_are_the_three_and_two_more() -> None:
    three, five = load_setting("three-task"), load_setting("five-task")
    assert five.tasks[:5] == three.tasks
    assert [task.name for task in five.tasks[5:]] == ["deblur", "lowlight"]
    assert five.preprocessing == three.preprocessing
    assert five.protocol == three.protocol
    assert [column.task for column in five.columns] == [
        "denoise25",
        "dehaze",
        "derain",
        "deblur",
        "lowlight",
    ]
    shares = {task.name: task.share for task in five.tasks}
    assert sum(shares.values()) == 162_646
    assert (shares["deblur"], shares["lowlight"]) == (10_515, 9_700)


def test_seven_tasks_have_mioirs_order_and_ranges() -> None:
    seven = load_setting("seven-task")
    assert seven.task_names == ("sr", "blur", "noise", "jpeg", "rain", "haze", "dark")
    assert [column.task for column in seven.columns] == list(seven.task_names)
    ranges = {task.name: task.degradation for task in seven.tasks}
    assert ranges["sr"] == Resample(kind="resample", factor=4, kernel="antialiased")
    assert ranges["blur"] == GaussianBlur(
        kind="gaussian-blur", sigma_px=(1, 3), kernel_px=tuple(range(7, 22, 2))
    )
    assert ranges["noise"] == Noise(kind="noise", sigma_255=(15, 50))
    assert ranges["jpeg"] == Jpeg(kind="jpeg", quality=(30, 70))
    assert ranges["haze"] == Haze(kind="haze", beta=(0.5, 2.5), airlight=(0.8, 1.0))
    assert ranges["dark"] == LowLight(kind="low-light", gamma=(1, 3))
    assert seven.preprocessing.noise_rounding == "round"
    assert (seven.protocol.border_px, seven.protocol.quantise) == (4, "round")
    assert seven.protocol.metrics == ("psnr_rgb",)


@pytest.mark.parametrize("name", ["all-weather", "weatherbench"])
def test_weather_is_scored_on_luma(name: str) -> None:
    protocol = load_setting(name).protocol
    assert protocol.metrics == ("psnr_y601", "ssim_y601_gauss11")
    assert (protocol.border_px, protocol.quantise) == (0, "round")


def test_all_weather_has_the_published_amounts() -> None:
    tasks = load_setting("all-weather").tasks
    assert sum(task.share for task in tasks) == 18_069
    assert sum(task.share for task in tasks if task.family == "desnow") == 9_001


def test_composite_has_cdd11s_classes_in_the_order_of_its_script() -> None:
    setting: Setting = load_setting("composite")
    assert [column.label for column in setting.columns] == (
        ["L", "H", "R", "S", "L+H", "L+R", "L+S", "H+R", "H+S", "L+H+R", "L+H+S"]
    )
    assert [column.task for column in setting.columns] == list(setting.task_names)
    single = {task.name: task.degradation for task in setting.tasks[:4]}
    for task in setting.tasks[4:]:
        assert isinstance(task.degradation, Composed)
        applied = [n for n in ("low", "rain", "snow", "haze") if n in task.name.split("-")]
        assert list(task.degradation.parts) == [single[name] for name in applied]
    low = single["low"]
    assert isinstance(low, LowLight)
    assert low.gamma == (2, 3)
    assert low.noise_255 == pytest.approx((0.03 * 255, 0.08 * 255))
    assert setting.protocol.metrics == ("psnr_rgb", "ssim_rgb_uniform7")
