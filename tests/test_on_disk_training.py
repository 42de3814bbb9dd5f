"""Training and scoring on images on disk, small ones that are made here."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from harness.config.errors import HarnessError, UsageError
from harness.config.run_specs import Stage, stage_at
from harness.config.settings import Setting
from harness.data.images.cache import FOLDER_VARIABLE, DecodedImages
from harness.data.on_disk.locate import DataRoots
from harness.data.on_disk.training_sets import FoundTraining, find_training, held_out, trained_on
from harness.data.sources.file_images import TrainingFileImages
from harness.data.sources.stream import CropStream
from harness.evaluation.metrics.registry import resolve_metrics
from harness.evaluation.protocols import score_pairs
from harness.planning.plan import Plan
from harness.reporting.plan_text import incomplete_sentence
from tests.conftest import Run
from tests.plans import plan_of

SHARED = Path(__file__).parents[2] / "shared/data"
PAIRS = 20


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_rain(folder: Path, count: int, seed: int, size: tuple[int, int] = (48, 64)) -> None:
    """Write pairs as RainTrainL lies: rain/*.png and norain/*.png, streaks 60 levels brighter."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        coarse = rng.integers(20, 160, (6, 8, 3)).repeat(size[0] // 6, 0).repeat(size[1] // 8, 1)
        rainy = coarse.copy()
        rainy[:, number % 8 :: 8] += 60
        write(folder / f"norain/norain-{number}.png", coarse)
        write(folder / f"rain/norain-{number}.png", rainy)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with RainTrainL, Rain100L and CBSD68, all tiny; nothing for haze."""
    folder = tmp_path_factory.mktemp("sets")
    write_rain(folder / "raintrainl", PAIRS, 0)
    write_rain(folder / "rain100l", 3, 1)
    rng = np.random.default_rng(2)
    for number in range(3):
        write(folder / f"cbsd68/{number}.png", rng.integers(0, 255, (40, 56, 3)))
    return folder


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache" / "images"))


def plan_on_disk(
    root: Path, method: str = "promptir", recipe: str = "smoke", **evaluation: object
) -> Plan:
    data = {"root": root, "train_sets": {"denoise": "raintrainl"}}
    return plan_of([method], recipe=recipe, data=data, evaluation=evaluation)


def found(setting: Setting, root: Path) -> FoundTraining:
    return find_training(setting, DataRoots(root, "--data-root"), {"denoise": "raintrainl"})


def stream_of(plan: Plan) -> CropStream:
    stream = plan.source.stream(plan.runs[-1].train, views=1)
    assert isinstance(stream, CropStream)
    return stream


def test_a_run_is_known_by_the_bytes_and_not_by_the_folder(root: Path, tmp_path: Path) -> None:
    first = plan_on_disk(root).runs[-1].weights_id
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    assert plan_on_disk(moved).runs[-1].weights_id == first
    path = moved / "raintrainl/rain/norain-0.png"
    write(path, np.zeros((48, 64, 3)))
    assert plan_on_disk(moved).runs[-1].weights_id != first


def test_small_images_and_pairs_of_two_sizes_are_refused_in_the_plan(
    root: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(root, copied)
    for kind in ("rain", "norain"):
        write(copied / f"raintrainl/{kind}/norain-7.png", np.zeros((24, 64, 3)))
    with pytest.raises(HarnessError, match=r"1 of 20 .*norain-7\.png \(64x24\).*patch_px"):
        plan_on_disk(copied)
    write(copied / "raintrainl/rain/norain-7.png", np.zeros((48, 64, 3)))
    with pytest.raises(HarnessError, match=r"1 of 20 pairs .*norain-7\.png.*64x48.*64x24"):
        plan_on_disk(copied)
    write(copied / "raintrainl/norain/norain-7.png", np.zeros((48, 64, 3)))
    write(copied / "cbsd68/1.png", np.zeros((12, 56, 3)))
    with pytest.raises(HarnessError, match=r"1 of 3 images of cbsd68.*1\.png \(56x12\)"):
        plan_on_disk(copied)


def test_a_patch_larger_than_the_synthetic_images_is_refused_in_the_plan(tmp_path: Path) -> None:
    recipe = tmp_path / "large.yaml"
    recipe.write_text("base: smoke\ntrain: {patch_px: 256}\n")
    with pytest.raises(UsageError, match="192 pixels a side, and the patch has 256"):
        plan_of(["promptir"], recipe=str(recipe))


def test_an_incomplete_set_is_expected_to_be_whole(root: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole.yaml"
    whole.write_text("base: smoke\ntest: {images: null}\n")
    plan = plan_on_disk(root, recipe=str(whole))
    expected = plan.source.expected_images(plan.test, plan.setting)
    noise = dict.fromkeys(("denoise15", "denoise25", "denoise50"), 68)
    assert expected == {**noise, "derain": 100}
    assert "denoise15 has 3 of 68 images" in incomplete_sentence(plan)
    assert incomplete_sentence(plan_of(["promptir"])) == ""


def test_what_is_missing_is_named_and_not_trained(root: Path, setting: Setting) -> None:
    got = found(setting, root)
    assert got.absent == {"dehaze": ("reside-ots",)}
    assert [task.name for task in got.data.tasks] == [
        "denoise15",
        "denoise25",
        "denoise50",
        "derain",
    ]
    families = [(entry.family, entry.set, entry.repeat) for entry in got.data.files]
    assert families == [("denoise", "raintrainl", 1), ("derain", "raintrainl", 120)]
    plan = plan_on_disk(root)
    assert plan.absent_columns == {"dehaze": "sots-outdoor"}
    assert plan.absent_families == {"dehaze": ("reside-ots",)}
    assert plan.runs[-1].train.tasks == setting.task_names, "outputs keep their order"


@pytest.mark.parametrize(
    ("train_sets", "named"),
    [
        ({"denoise": "cbsd68"}, "cbsd68 is a test set"),
        ({"fog": "raintrainl"}, "no family 'fog'"),
        ({"derain": "clean"}, "unknown data set 'clean'"),
    ],
)
def test_train_sets_that_cannot_be_are_refused(
    train_sets: dict[str, str], named: str, root: Path, setting: Setting
) -> None:
    with pytest.raises(UsageError) as error:
        find_training(setting, DataRoots(root, "--data-root"), train_sets)
    assert named in str(error.value)


def test_pairs_are_needed_where_no_noise_is_added(tmp_path: Path, setting: Setting) -> None:
    for number in range(12):
        write(tmp_path / f"bsd400/{number}.png", np.zeros((20, 20, 3)))
    with pytest.raises(UsageError, match="clean images alone, and dehaze needs pairs"):
        find_training(setting, DataRoots(tmp_path, "--data-root"), {"dehaze": "bsd400"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="none of bsd400, wed, reside-ots, raintrainl is there"):
        find_training(setting, DataRoots(tmp_path / "empty", "--data-root"), {})


def test_held_out_images_are_never_trained_on(root: Path, setting: Setting) -> None:
    got = found(setting, root)
    for entry in got.data.files:
        pairs = got.files[entry.set, entry.group]
        validation = held_out(pairs, entry.set)
        assert tuple(pair.image for pair in validation) == entry.held_out
        assert len(validation) == PAIRS // 10
        trained = trained_on(pairs, entry.held_out)
        assert len(trained) == PAIRS - len(validation)
        assert not {pair.clean for pair in validation} & {pair.clean for pair in trained}
    denoise, derain = (entry.held_out for entry in got.data.files)
    assert denoise == derain, "what one family validates on, another must not train on"


def test_batches_are_of_files_and_of_noise(root: Path) -> None:
    plan = plan_on_disk(root)
    stream = stream_of(plan)
    seen = set()
    for step in range(6):
        samples = stream.batch(step)
        for degraded, clean, task in zip(
            samples.degraded, samples.clean, samples.tasks, strict=True
        ):
            seen.add(task)
            error = np.round((degraded - clean) * 255)
            if task == "derain":
                assert set(np.unique(error)) <= {0, 60}, "the streaks of the files"
            else:
                deviation = float(error.std())
                assert deviation == pytest.approx(float(task.removeprefix("denoise")), rel=0.3)
    assert seen == {"denoise15", "denoise25", "denoise50", "derain"}
    again = stream_of(plan).batch(4)
    assert np.array_equal(again.degraded, stream.batch(4).degraded)


def test_sets_are_drawn_as_often_as_the_published_list_has_them(root: Path, tmp_path: Path) -> None:
    """Two sets of one family: 18 trained images once, and 9 of them three times."""
    stream = stream_of(plan_on_disk(root))
    images = stream.images
    assert isinstance(images, TrainingFileImages)
    entry = next(e for e in images.data.files if e.family == "derain")
    pairs = images.files[entry.set, None]
    sets = (
        entry.model_copy(update={"set": "many", "repeat": 1}),
        entry.model_copy(update={"set": "few", "repeat": 3, "held_out": ()}),
    )
    both = TrainingFileImages(
        DecodedImages(tmp_path),
        images.data.model_copy(update={"files": sets}),
        {("many", None): pairs, ("few", None): pairs[:9]},
    )
    derain = next(task for task in stream.tasks if task.name == "derain")
    few = {pair.image for pair in pairs[:9]}
    drawn = [both.choose(derain, 0, np.random.default_rng(n)).key[0] in few for n in range(600)]
    rest = len([pair for pair in trained_on(pairs, entry.held_out) if pair.image in few])
    expected = (27 + rest) / (27 + 18)
    assert np.mean(drawn) == pytest.approx(expected, abs=0.06)


def test_validation_reads_what_is_held_out(root: Path) -> None:
    plan = plan_on_disk(root)
    source = plan.source.validation(plan.runs[-1].train)
    by_name = {task.name: task for task in source.tasks}
    pairs = list(source.pairs(by_name["derain"]))
    assert len(pairs) == PAIRS // 10
    degraded, clean = pairs[0]
    assert degraded.shape == clean.shape == (1, 3, 48, 64)
    assert set(np.unique(np.round((degraded - clean) * 255))) <= {0, 60}
    noisy, clean = next(iter(source.pairs(by_name["denoise50"])))
    assert float((noisy - clean).std() * 255) == pytest.approx(50, rel=0.3)


def test_stages_are_of_trained_tasks_alone(root: Path) -> None:
    stages: tuple[Stage, ...] = plan_on_disk(root, "promptir@sequential").runs[-1].train.stages
    assert [stage.tasks for stage in stages] == [
        ("denoise15", "denoise25", "denoise50"),
        ("denoise15", "denoise25", "denoise50", "derain"),
    ]
    assert stage_at(stages, 0).stage is stages[0]


def test_preprocessing_and_protocol_can_be_changed_for_scoring_alone(root: Path) -> None:
    plain = plan_on_disk(root)
    changed = plan_on_disk(root, crop_multiple=1, protocol="basicsr-y")
    assert changed.runs[-1].weights_id == plain.runs[-1].weights_id
    score = changed.runs[-1].score
    assert score is not None
    assert score.protocol.id == "y601-uint8-gauss11"
    assert score.test.preprocessing.id == "crop16-uint8-cropped-to-1"
    assert changed.metrics == ("psnr_y601", "ssim_y601_gauss11")


def test_run_trains_scores_and_names_what_is_not_there(
    root: Path, tmp_path: Path, harness_command: Run
) -> None:
    out = tmp_path / "out"
    command = (
        *("run", "--data-root", str(root), "--train-set", "denoise=raintrainl"),
        *("--recipe", "smoke", "--methods", "promptir", "--out", str(out)),
    )
    done = harness_command(*command)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "Not there: Dehaze (sots-outdoor). Average: none, for a part" in text
    assert "Not trained: dehaze (reside-ots not there)." in text
    assert "denoise, derain on raintrainl (20 images)" in text
    # The table is folded.
    cells: list[str] = []
    for line in done.stdout.splitlines():
        if "│ PromptIR " in line:
            cells += [cell.strip() for cell in line.strip("│").split("│")[1:]]
    assert (cells[3], cells[5]) == ("-- / --", "-- / --"), "neither haze nor an average"
    # Trained anew, it is the same to the bit.
    (weights,) = out.glob("promptir*/weights.safetensors")
    other = tmp_path / "other"
    again = harness_command(*command[:-1], str(other))
    assert again.returncode == 0, again.stderr
    (second,) = other.glob("promptir*/weights.safetensors")
    first_state, second_state = load_file(weights), load_file(second)
    assert all(np.array_equal(value, second_state[key]) for key, value in first_state.items())
    spec = json.loads((weights.parent / "spec.json").read_text())
    assert str(root) not in json.dumps(spec)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--train-set", "denoise=raintrainl"), "is about data sets on disk; add --data-root"),
        (("--data-root", "{root}", "--train-set", "denoise"), "is not FAMILY=SET"),
        (("--data-root", "{root}", "--train-set", "denoise=rain"), "unknown data set 'rain'"),
        (("--data-root", "{root}/none"), "is no folder"),
        (("--data-root", "{root}", "--protocol", "basics-y"), "unknown protocol 'basics-y'"),
        (("--noise-stream", "published"), "is about images on disk; add --data-root"),
        (("--on-disk",), "no folder of data sets is known"),
    ],
    ids=lambda v: str(v)[-30:],
)
def test_wrong_flags_are_explained(
    flags: tuple[str, ...], named: str, root: Path, tmp_path: Path, harness_command: Run
) -> None:
    flags = tuple(flag.format(root=root) for flag in flags)
    done = harness_command(
        *("run", "--dry-run", "--recipe", "smoke", *flags),
        XDG_CONFIG_HOME=str(tmp_path),
        HARNESS_DATA_ROOT="",
    )
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_the_published_stream_depends_on_what_came_before(root: Path) -> None:
    plan = plan_on_disk(root, noise_stream="published")
    score = plan.runs[-1].score
    assert score is not None
    assert score.test.preprocessing.id == "crop16-uint8-published-stream"
    source = plan.source.pairs(score.test)
    names = [image for column, image in source.names() if column == "denoise25"]
    # By hand: seed 0, three images of 32x48 at sigma 15, then the same at 25.
    stream = np.random.RandomState(0)
    for _ in range(3):
        stream.randn(32, 48, 3)
    first = source.make("denoise25", names[0])
    expected = np.clip(first.clean * 255 + 25 * stream.randn(32, 48, 3), 0, 255).astype(np.uint8)
    assert np.array_equal(np.round(first.degraded * 255), expected)
    derain = source.make("derain", next(i for c, i in source.names() if c == "derain"))
    assert not np.array_equal(derain.degraded, derain.clean)


@pytest.mark.parametrize(
    ("changes", "metric", "expected_db"),
    [
        ({}, "psnr_rgb", 25.52),
        ({"crop_multiple": 1, "protocol": "basicsr-y"}, "psnr_y601", 26.90),
    ],
    ids=["three-task", "full-size-y"],
)
def test_rain100l_reads_what_the_field_reads(
    changes: dict[str, object], metric: str, expected_db: float
) -> None:
    if not (SHARED / "Rain100L").is_dir():
        pytest.skip("the images are not on this machine")

    plan = plan_on_disk(SHARED, recipe="mini", **changes)
    score = plan.runs[0].score
    assert score is not None
    source = plan.source.pairs(score.test)
    pairs = [source.make(*name) for name in source.names() if name[0] == "derain"]
    assert len(pairs) == 100
    with ThreadPoolExecutor(2) as pool:
        values = score_pairs(
            [pair.degraded for pair in pairs],
            [pair.clean for pair in pairs],
            score.protocol,
            [resolve_metrics([metric])] * len(pairs),
            pool,
        )
    assert np.mean([one[metric] for one in values]) == pytest.approx(expected_db, abs=0.03)
