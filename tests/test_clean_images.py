"""Degradations on clean images of one's own folders, and on an optional package's photographs."""

from __future__ import annotations

import importlib.metadata
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.api import prompt_report
from harness.config.data_sets import is_synthetic_name
from harness.config.errors import HarnessError, UsageError
from harness.config.hashing import canonical_json, spec_hash
from harness.config.run_specs import SyntheticTrainingData, TrainSpec
from harness.data.images.cache import FOLDER_VARIABLE
from harness.data.on_disk.clean_images import find_clean_images
from harness.execution.execute import execute
from harness.execution.process import Worker
from harness.planning.plan import Plan
from harness.planning.plan_files import load_plan, store_plan
from harness.reporting.plan_text import training_sentence
from harness.store.prompt_files import stored_summary
from tests.conftest import Run
from tests.plans import QUICK_RECIPE, plan_of
from tests.test_on_disk_training import write, write_rain

SHARED = Path(__file__).parents[2] / "shared/data"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache" / "images"))


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with 20 images to train on, 3 to validate and 4 to test on, of odd sizes."""
    folder = tmp_path_factory.mktemp("clean")
    rng = np.random.default_rng(3)
    for name, count in (("Lake", 20), ("Hill", 3), ("Town", 4)):
        for number in range(count):
            size = (67 + number, 75 - number, 3)
            write(folder / name / f"{number:02d}.png", rng.integers(0, 255, size))
    (folder / "Town/notes.txt").write_text("no image")
    write(folder / "Town/grey.png", rng.integers(0, 255, (71, 69)))
    return folder


def clean_plan(sets: Path, splits: dict[str, str], **fields: Any) -> Plan:
    named = {}
    for split, name in splits.items():
        named[split] = str(sets / name)
    return plan_of(["promptir"], data={"clean_images": named}, **fields)


def trained(plan: Plan) -> tuple[TrainSpec, SyntheticTrainingData]:
    train = plan.runs[-1].train
    assert isinstance(train.data, SyntheticTrainingData)
    return train, train.data


def test_each_image_of_a_folder_is_tested_once_per_column(sets: Path) -> None:
    plan = clean_plan(sets, {"test": "Town"}, recipe="mini")
    assert plan.source.name == "synthetic tested on Town"
    names = ["00", "01", "02", "03", "grey"]
    images = plan.test.images_by_column()
    assert images == dict.fromkeys(
        ["denoise15", "denoise25", "denoise50", "dehaze", "derain"], names
    )
    assert plan.test.centre_px is None
    assert plan.test.preprocessing.id == "crop16-uint8"
    pairs = plan.source.pairs(plan.test)
    assert pairs.data_set("derain") == "Town (synthetic)"
    assert is_synthetic_name(pairs.data_set("derain"))
    for column in images:
        pair = pairs.make(column, "02")
        assert pair.clean.shape == pair.degraded.shape == (64, 64, 3)
        assert not np.array_equal(pair.clean, pair.degraded)
        assert np.array_equal(pair.degraded, pairs.make(column, "02").degraded)
    grey = pairs.make("dehaze", "grey").clean
    assert np.array_equal(grey[..., 0], grey[..., 2])


def test_the_id_of_the_preprocessing_says_that_centres_are_tested(sets: Path) -> None:
    plan = clean_plan(sets, {"test": "Town"}, limit=1)
    assert plan.test.images_by_column()["derain"] == ["00"]
    assert plan.test.preprocessing.id == "crop16-uint8-centre-96"


def test_a_test_folder_trains_nothing_again(sets: Path) -> None:
    own, other = plan_of(["promptir"]), clean_plan(sets, {"test": "Town"})
    assert [run.weights_id for run in own.runs] == [run.weights_id for run in other.runs]
    assert own.runs[-1].score_id != other.runs[-1].score_id


def test_specs_without_folders_keep_their_identity() -> None:
    plan = plan_of(["promptir"])
    train, _ = trained(plan)
    assert "folder" not in canonical_json(train)
    assert "folder" not in canonical_json(plan.test)


def test_training_on_a_folder_holds_some_of_its_images_out(sets: Path) -> None:
    plan = clean_plan(sets, {"train": "Lake"})
    train, data = trained(plan)
    assert data.train == data.validation == ()
    assert data.dead_leaves_share == 0
    assert "dead-leaves" not in data.degradation_versions
    assert data.train_folder is not None
    assert data.validation_folder is not None
    held = set(data.validation_folder.images)
    assert len(held) == 2
    assert not held & set(data.train_folder.images)
    assert len(data.train_folder.images) == 18
    assert training_sentence(plan) == "Trained: synthetic degradations of Lake (18 images)."
    stream = plan.source.stream(train, views=2)
    batch = stream.batch(1)
    assert batch.clean.shape == (5, 3, 32, 32)
    assert np.array_equal(batch.clean, pickle.loads(pickle.dumps(stream)).batch(1).clean)
    validation = plan.source.validation(train)
    for task in validation.tasks:
        assert len(list(validation.pairs(task))) == len(held)
        assert validation.crops(task).shape == (24, 3, 58, 58)
    # Tests stay on the embedded photographs.
    assert plan.source.pairs(plan.test).data_set("derain") == "synthetic"


def test_a_folder_of_validation_leaves_all_others_to_training(sets: Path) -> None:
    plan = clean_plan(sets, {"train": "Lake", "val": "Hill"})
    train, data = trained(plan)
    assert data.train_folder is not None
    assert len(data.train_folder.images) == 20
    assert data.validation_folder is not None
    assert data.validation_folder.set == "Hill"
    pairs = list(plan.source.validation(train).pairs(data.tasks[0]))
    assert [clean.shape for _, clean in pairs] == [(1, 3, 64, 64)] * 3


def test_validation_alone_can_be_a_folder(sets: Path) -> None:
    _, data = trained(clean_plan(sets, {"val": "Hill"}))
    assert data.train
    assert data.train_folder is None
    assert data.validation == ()


def test_identity_is_name_and_bytes_and_never_the_place(sets: Path, tmp_path: Path) -> None:
    before = find_clean_images("test", str(sets / "Hill"))
    pixels = np.random.default_rng(9).integers(0, 255, (40, 40, 3))
    for path in sorted((sets / "Hill").iterdir()):
        target = tmp_path / "Hill" / path.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    moved = find_clean_images("test", str(tmp_path / "Hill"))
    assert moved.spec(moved.pairs) == before.spec(before.pairs)
    assert str(tmp_path) not in canonical_json(moved.spec(moved.pairs))
    write(tmp_path / "Hill/00.png", pixels)
    changed = find_clean_images("test", str(tmp_path / "Hill"))
    assert spec_hash(changed.spec(changed.pairs)) != spec_hash(before.spec(before.pairs))


def test_noise_is_that_of_the_same_data_set_on_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for number in range(3):
        write(tmp_path / f"cbsd68/{number}.png", rng.integers(0, 255, (40, 56, 3)))
    recipe = tmp_path / "whole.yaml"
    recipe.write_text(QUICK_RECIPE.replace("images: 1, draws: 1, centre_px: 64", "centre_px: null"))
    ours = clean_plan(tmp_path, {"test": "cbsd68"}, recipe=str(recipe))
    write_rain(tmp_path / "raintrainl", 20, 0)
    data = {"root": tmp_path, "train_sets": {"denoise": "raintrainl"}}
    disk = plan_of(["promptir"], data=data, recipe=str(recipe))
    for image in ("0", "1", "2"):
        here = ours.source.pairs(ours.test).make("denoise25", image)
        there = disk.source.pairs(disk.test).make("denoise25", image)
        assert np.array_equal(here.degraded, there.degraded)


@pytest.mark.parametrize("setting", ["five-task", "seven-task", "composite"])
def test_every_degradation_applies_to_a_folder(sets: Path, setting: str) -> None:
    plan = clean_plan(sets, {"train": "Lake", "test": "Town"}, setting=setting, limit=1)
    pairs = plan.source.pairs(plan.test)
    for column, image in pairs.names():
        pair = pairs.make(column, image)
        assert np.isfinite(pair.degraded).all()
    train, _ = trained(plan)
    assert np.isfinite(plan.source.stream(train, 1).batch(0).degraded).all()


def test_images_that_are_trained_and_tested_on_are_named(sets: Path, tmp_path: Path) -> None:
    for path in sorted((sets / "Lake").iterdir())[:2]:
        target = tmp_path / "Seen" / f"copy-{path.name}"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    data = {"clean_images": {"train": str(sets / "Lake"), "test": str(tmp_path / "Seen")}}
    plan = plan_of(["promptir"], data=data)
    (note,) = plan.source.overlap_notes(plan.setting)
    assert note.startswith("2 test images are among the training images too, such as copy-00.png")
    apart = clean_plan(sets, {"train": "Lake", "test": "Town"})
    assert apart.source.overlap_notes(apart.setting) == []


def test_validation_images_of_another_split_are_named(sets: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "Chosen"
    chosen.mkdir()
    for name in ("Lake", "Town"):
        path = min((sets / name).iterdir())
        (chosen / f"{name}-{path.name}").write_bytes(path.read_bytes())
    folders = {"train": str(sets / "Lake"), "val": str(chosen), "test": str(sets / "Town")}
    plan = plan_of(["promptir"], data={"clean_images": folders})
    by_training, by_test = plan.source.overlap_notes(plan.setting)
    assert by_training.startswith("1 validation images are among the training images too")
    assert by_test.startswith("1 test images are among the validation images too")
    folders["val"] = folders["test"]
    with pytest.raises(UsageError, match="val and test hold the same images"):
        plan_of(["promptir"], data={"clean_images": folders})


def bad_folder(folder: Path, kind: str) -> None:
    folder.mkdir()
    if kind == "empty":
        (folder / "notes.txt").write_text("no image")
    if kind == "below":
        write(folder / "target/0.png", np.zeros((64, 64, 3)))
    if kind == "not-an-image":
        write(folder / "0.png", np.zeros((64, 64, 3)))
        (folder / "1.png").write_text("no image")
    if kind == "tiny":
        write(folder / "0.png", np.zeros((64, 64, 3)))
        write(folder / "1.png", np.zeros((15, 64, 3)))
    if kind == "twice":
        write(folder / "0.png", np.zeros((64, 64, 3)))
        write(folder / "0.bmp", np.zeros((64, 64, 3)))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "holds no image; images end in .png"),
        ("below", "holds no image; name one of its folders: target"),
        ("not-an-image", "1.png cannot be decoded"),
        ("tiny", r"1 of 2 images of .* are smaller than the 16 pixels .*1.png \(64x15\)"),
        ("twice", "0.bmp and 0.png are called alike"),
    ],
)
def test_a_folder_that_cannot_be_tested_is_refused_by_name(
    tmp_path: Path, kind: str, message: str
) -> None:
    bad_folder(tmp_path / "bad", kind)
    with pytest.raises(HarnessError, match=message):
        clean_plan(tmp_path, {"test": "bad"})


def test_what_cannot_be_trained_on_is_refused(sets: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Hill holds 3 images, too few to hold one out"):
        clean_plan(sets, {"train": "Hill"})
    with pytest.raises(UsageError, match="train and val hold the same images"):
        clean_plan(sets, {"train": "Lake", "val": "Lake"})
    with pytest.raises(UsageError, match=r"train=.*missing does not exist"):
        clean_plan(sets, {"train": "missing"})
    with pytest.raises(UsageError, match=r"notes\.txt is a file"):
        clean_plan(sets, {"train": "Town/notes.txt"})
    for number in range(12):
        write(tmp_path / f"small/{number}.png", np.full((24, 40, 3), number))
    with pytest.raises(HarnessError, match=r"smaller than the patch of 32 pixels: .*0.png \(40x24"):
        clean_plan(tmp_path, {"train": "small"})


def test_an_unreadable_file_is_refused_by_name(sets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    write(folder / "0.png", np.zeros((64, 64, 3)))
    (folder / "1.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(HarnessError, match=r"1\.png cannot be read"):
        clean_plan(tmp_path, {"test": "broken"})


def test_settings_and_data_that_do_not_go_together_are_refused(sets: Path, tmp_path: Path) -> None:
    data = {"clean_images": {"test": str(sets / "Town")}, "root": tmp_path}
    with pytest.raises(UsageError, match="leave one of them out"):
        plan_of(["promptir"], data=data)
    with pytest.raises(UsageError, match="add --data-root"):
        clean_plan(sets, {"test": "Town"}, evaluation={"noise_stream": "published"})
    text = (Path(__file__).parents[1] / "datasets/settings/three-task.yaml").read_text()
    own = tmp_path / "mine.yaml"
    kind = "{kind: haze, beta: [0.5, 1.6], airlight: [0.8, 1.0]}"
    given = text.replace("name: three-task", "name: mine").replace(kind, "{kind: given}")
    own.write_text(given)
    with pytest.raises(UsageError, match="dehaze of setting mine has degraded images from files"):
        clean_plan(sets, {"train": "Lake", "test": "Town"}, setting=str(own))


def test_a_stored_plan_names_the_folders(sets: Path, tmp_path: Path) -> None:
    plan = harness.plan(
        methods=["promptir"],
        recipe="smoke",
        clean_images={"train": str(sets / "Lake"), "test": str(sets / "Town")},
    )
    store_plan(plan, tmp_path / "plan.json")
    again = load_plan(tmp_path / "plan.json")
    assert [run.id for run in again.all_runs] == [run.id for run in plan.all_runs]
    with pytest.raises(UsageError, match=r"unknown key 'data.clean_images.tset'; did you mean"):
        harness.plan(clean_images={"tset": str(sets / "Town")})


def test_run_prints_and_stores_the_name_of_the_folder(
    sets: Path, tmp_path: Path, harness_command: Run
) -> None:
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(QUICK_RECIPE)
    config = tmp_path / "run.yaml"
    folders = f"{{train: {sets / 'Lake'}, test: {sets / 'Town'}}}"
    config.write_text(f"data: {{clean_images: {folders}}}\n")
    command = ["run", "--methods", "promptir", "--recipe", str(recipe), "--config", str(config)]
    done = harness_command(*command, "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    assert "synthetic degradations of Town, at most 1 images of each column" in shown
    assert "Trained: synthetic degradations of Lake (18 images)" in shown
    results = harness.load_results(tmp_path / "out")
    assert set(results["data_set"]) == {"Town (synthetic)"}
    assert set(results["preprocessing"]) == {"crop16-uint8-centre-64"}


def test_prompts_are_summarised_on_the_first_folder_or_on_the_photographs(
    sets: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(QUICK_RECIPE)
    summaries = []
    for test in ({"test": str(sets / "Town")}, {"test": str(sets / "Hill")}, {}):
        plan = plan_of(
            ["promptir"], tmp_path / "out", recipe=str(recipe), data={"clean_images": test}
        )
        run = plan.runs[-1]
        assert not execute(run, plan, Worker(device="cpu", threads=1)).error
        summaries.append(stored_summary(run.folder)["prompts"])
        assert "PromptIR seed 0" in prompt_report(plan)
    of_town, of_hill, of_photographs = summaries
    assert of_town == of_hill
    assert of_town["psnr_db"] != of_photographs["psnr_db"]


def test_flags_name_folders_by_split(sets: Path, tmp_path: Path, harness_command: Run) -> None:
    command = ["run", "--dry-run", "--methods", "promptir", "--recipe", "smoke"]
    command += ["--out", str(tmp_path)]
    named = [f"{split}={sets / name}" for split, name in (("train", "Lake"), ("test", "Town"))]
    done = harness_command(*command, "--clean-images", named[0], "--clean-images", named[1])
    assert done.returncode == 0, done.stderr
    assert "three-task (synthetic trained on Lake tested on Town)" in done.stdout
    wrong = harness_command(*command, "--clean-images", "Lake")
    assert wrong.returncode == 2
    assert "--clean-images 'Lake' is not SPLIT=DIR" in wrong.stderr


def test_a_missing_package_is_named_with_its_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(UsageError, match=r"run pip install --no-deps 'foolbox==3\.3\.4'"):
        find_clean_images("test", "foolbox")
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [])
    with pytest.raises(UsageError, match=r"has no foolbox/data/imagenet_\*.jpg"):
        find_clean_images("test", "foolbox")


def test_a_folder_may_be_called_as_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "foolbox/0.png", np.zeros((64, 64, 3)))
    monkeypatch.chdir(tmp_path)
    found = find_clean_images("test", "./foolbox")
    assert (found.name, len(found.pairs)) == ("foolbox", 1)


def test_the_photographs_of_the_package_are_a_set_of_their_own() -> None:
    try:
        importlib.metadata.version("foolbox")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("package foolbox is not installed")
    plan = plan_of(["promptir"], data={"clean_images": {"test": "foolbox"}}, limit=1)
    assert plan.source.pairs(plan.test).data_set("derain") == "foolbox (synthetic)"
    assert len(find_clean_images("test", "foolbox").pairs) == 20


def test_scenes_of_two_real_folders_are_found() -> None:
    if not SHARED.is_dir():
        pytest.skip("needs CBSD68 and Rain100L")
    data = {
        "clean_images": {
            "train": str(SHARED / "Rain100L/norain"),
            "test": str(SHARED / "CBSD68"),
        }
    }
    plan = plan_of(["promptir"], data=data)
    (note,) = plan.source.overlap_notes(plan.setting)
    assert note.startswith("24 test images are among the training images too")
