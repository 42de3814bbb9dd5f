"""Restoring image files: what is kept of them, where results go, prompts, and what fails."""

from __future__ import annotations

import io
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

import harness
from harness.config.errors import UsageError
from harness.data.images.image_file import read_image_file
from harness.data.images.write import FORMATS, encoded, format_of_suffix, output_format
from harness.evaluation.memory import MemoryBudget
from harness.evaluation.prompt_choice import LevelChoice, PromptChoice, choice_of_task
from harness.evaluation.restore_paths import plan_files
from harness.evaluation.restorer import Restorer, TilingOptions, restore_pixels
from harness.execution.execute import execute
from harness.execution.process import Worker
from harness.execution.restorers import RestorerRequest, find_run, open_restorer
from harness.store.files import read_json
from tests.conftest import Run
from tests.networks import TASKS, build_tiny
from tests.plans import quick_plan

RNG = np.random.default_rng(11)
COLOUR = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6">k</a></x:xmpmeta>'
EXIF_IFD, GPS_IFD = 0x8769, 0x8825


def exif(orientation: int = 1) -> Image.Exif:
    tags = Image.Exif()
    tags[274], tags[271], tags[256] = orientation, "Maker", 40
    tags[EXIF_IFD] = {36867: "2020:01:01 00:00:00", 0xA002: 40, 0xA003: 24}
    tags[GPS_IFD] = {1: "N", 2: (1.0, 2.0, 3.0)}
    as_read = Image.Exif()
    as_read.load(tags.tobytes())
    return as_read


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a prompted method for two steps, and store the degraded input beside it."""
    out = tmp_path_factory.mktemp("runs")
    plan = quick_plan(out)
    for run in plan.all_runs:
        outcome = execute(run, plan, Worker(device="cpu", threads=1))
        assert not outcome.error
    return out


@pytest.fixture
def restore(runs: Path, harness_command: Run, tmp_path: Path) -> Callable[..., Any]:
    def command(*arguments: str, run: str = "degraded-input") -> Any:
        named = ["--run", run, "--out", str(runs), "--output", str(tmp_path / "out")]
        return harness_command("restore", *named, *arguments)

    return command


def save(path: Path, pixels: np.ndarray = COLOUR, **keywords: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **keywords)
    return path


# --- files as they were -----------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_pixels_and_orientation_agree_and_metadata_stay(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    lossless = {"lossless": True} if suffix == "webp" else {}
    tags = exif(orientation)
    if suffix == "tif":
        del tags[256]
    path = save(tmp_path / f"a.{suffix}", exif=tags, icc_profile=PROFILE, **lossless)
    image = read_image_file(path)
    size = (24, 40) if orientation < 5 else (40, 24)
    assert image.pixels.shape[:2] == size
    for into in (FORMATS["png"], format_of_suffix(path.suffix)):
        written = tmp_path / f"b{into.suffixes[0]}"
        written.write_bytes(encoded(image, into))
        with Image.open(written) as opened:
            found = opened.getexif()
            assert found.get(274, 1) == 1
            assert found[271] == "Maker"
            inner = found.get_ifd(EXIF_IFD)
            assert inner[36867] == "2020:01:01 00:00:00"
            assert (inner[0xA003], inner[0xA002]) == size
            assert found.get_ifd(GPS_IFD)[1] == "N"
            assert opened.info["icc_profile"] == PROFILE
            shown = np.asarray(opened.convert("RGB"))
        if suffix != "jpg":
            assert np.array_equal(shown, image.pixels)
        again = read_image_file(written)
        assert again.pixels.shape == image.pixels.shape


def test_xmp_text_resolution_and_iptc_stay(tmp_path: Path) -> None:
    resources = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x00"
    segment = b"\xff\xed" + (len(resources) + 2).to_bytes(2, "big") + resources
    jpeg = save(tmp_path / "a.jpg", dpi=(300, 300), xmp=XMP, comment=b"a comment", extra=segment)
    (tmp_path / "b.jpg").write_bytes(encoded(read_image_file(jpeg), FORMATS["jpeg"]))
    with Image.open(tmp_path / "b.jpg") as found:
        assert found.info["dpi"] == (300, 300)
        assert found.info["comment"] == b"a comment"
        assert b'tiff:Orientation="1"' in found.info["xmp"]
        assert ("APP13", resources) in found.applist
    info = PngInfo()
    info.add_text("Title", "kept")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add(b"gAMA", (45455).to_bytes(4, "big"))
    png = save(tmp_path / "a.png", pnginfo=info, dpi=(300, 300))
    for deep in (False, True):
        image = read_image_file(png)
        if deep:
            image = replace(image, pixels=image.pixels.astype(np.uint16) * 257)
        (tmp_path / "b.png").write_bytes(encoded(image, FORMATS["png"]))
        with Image.open(tmp_path / "b.png") as found:
            found.load()
            assert found.text["Title"] == "kept"
            assert found.info["gamma"] == pytest.approx(0.45455)
            assert found.info["dpi"][0] == pytest.approx(300, abs=0.1)
            assert b'tiff:Orientation="1"' in found.info["xmp"]


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [*itertools.product(["png", "tif"], [1, 3, 4]), ("ppm", 1), ("ppm", 3)],
)
def test_sixteen_bits_stay(tmp_path: Path, suffix: str, channels: int) -> None:
    deep = RNG.integers(0, 65536, (9, 7, channels), dtype=np.uint16)
    stored = deep[..., [2, 1, 0, 3][:channels]] if channels > 1 else deep[..., 0]
    name = "a.pgm" if (suffix, channels) == ("ppm", 1) else f"a.{suffix}"
    assert cv2.imwrite(str(tmp_path / name), stored)
    image = read_image_file(tmp_path / name)
    assert image.pixels.dtype == np.uint16
    assert np.array_equal(image.pixels[..., :channels][..., :3], deep[..., :3])
    written = tmp_path / f"b.{name.rpartition('.')[2]}"
    written.write_bytes(encoded(image, format_of_suffix(written.suffix)))
    again = read_image_file(written)
    assert np.array_equal(again.pixels, image.pixels)
    assert again.is_grey == image.is_grey == (channels == 1)
    assert (again.alpha is None) == (channels < 4)
    if channels == 4:
        assert np.array_equal(again.alpha, deep[..., 3])


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_copied(
    restore: Callable[..., Any], tmp_path: Path, suffix: str, mode: str
) -> None:
    alpha = RNG.integers(0, 256, (24, 40), dtype=np.uint8)
    colour = COLOUR if mode == "RGBA" else COLOUR[..., :1]
    path = tmp_path / f"in/a.{suffix}"
    keywords = {"lossless": True, "exact": True} if suffix == "webp" else {}
    path.parent.mkdir()
    pixels = np.concatenate([colour, alpha[..., None]], axis=2)
    Image.fromarray(pixels).save(path, **keywords)
    assert restore("--input", str(path)).returncode == 0
    with Image.open(tmp_path / f"out/a.{suffix}") as found:
        assert np.array_equal(np.asarray(found.convert("RGBA"))[..., 3], alpha)
        assert np.array_equal(
            np.asarray(found.convert("RGB")), np.repeat(colour, 3 // colour.shape[2], 2)
        )


def test_grey_palette_black_and_white_and_cmyk(tmp_path: Path, restore: Callable[..., Any]) -> None:
    folder = tmp_path / "in"
    save(folder / "grey.png", COLOUR[..., 0])
    save(folder / "bits.png", COLOUR[..., 0] > 99)
    Image.fromarray(COLOUR).quantize(16).save(folder / "palette.gif")
    Image.fromarray(COLOUR).quantize(16).save(folder / "palette.png", transparency=0)
    Image.fromarray(COLOUR).convert("CMYK").save(folder / "print.jpg")
    printed = restore("--input", str(folder / "*.jpg"), "--input", str(folder / "*.png"))
    assert printed.returncode == 0
    assert "CMYK was converted to sRGB" in printed.stdout
    assert "black and white became grey" in printed.stdout
    assert "a palette became RGB" in printed.stdout
    modes = {}
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as image:
            modes[path.name] = image.mode
    expected = {"grey.png": "L", "bits.png": "L", "palette.png": "RGBA", "print.jpg": "RGB"}
    assert modes == expected
    assert restore("--input", str(folder / "palette.gif"), "--overwrite").returncode == 0
    with Image.open(tmp_path / "out/palette.png") as image:
        assert image.mode == "RGB"


def test_a_format_that_holds_less_is_said_or_refused(
    tmp_path: Path, restore: Callable[..., Any]
) -> None:
    deep = RNG.integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/deep.png"), deep)
    save(tmp_path / "in/glass.png", np.dstack([COLOUR, COLOUR[..., 0]]))
    printed = restore("--input", str(tmp_path / "in"), "--format", "jpg", "--quality", "80")
    assert printed.returncode == 1
    assert "16 bits were rounded to 8" in printed.stdout
    assert "glass.png: it has an alpha channel, which jpeg does not hold" in printed.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["deep.jpg"]
    with pytest.raises(UsageError, match="did you mean 'png'"):
        output_format("pngg")


# --- where results go -------------------------------------------------------------------


def test_results_are_skipped_until_they_are_to_be_replaced(
    tmp_path: Path, restore: Callable[..., Any]
) -> None:
    save(tmp_path / "in/sub/a.png")
    save(tmp_path / "in/b.PNG")
    save(tmp_path / "in/.hidden.png")
    (tmp_path / "in/notes.txt").write_text("no image")
    first = restore("--input", str(tmp_path / "in"))
    assert first.returncode == 0
    assert "2 of 2 images restored" in first.stdout
    results = sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.*"))
    assert results == [Path("b.PNG"), Path("sub/a.png")]
    (tmp_path / "out/b.PNG").write_bytes(b"mine")
    second = restore("--input", str(tmp_path / "in"))
    assert "0 of 2 images restored, 2 skipped" in second.stdout
    assert (tmp_path / "out/b.PNG").read_bytes() == b"mine"
    third = restore("--input", str(tmp_path / "in"), "--overwrite")
    assert "2 of 2 images restored" in third.stdout
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/b.PNG")), COLOUR)


def test_two_inputs_for_one_result_are_refused_before_anything_is_computed(
    tmp_path: Path, restore: Callable[..., Any]
) -> None:
    save(tmp_path / "in/a.jpg")
    save(tmp_path / "in/a.webp")
    printed = restore("--input", str(tmp_path / "in"), "--format", "png")
    assert printed.returncode == 2
    assert "a.jpg and" in printed.stderr
    assert "would both be written to" in printed.stderr
    assert not (tmp_path / "out").exists()
    # The same file twice is one input.
    twice = restore("--input", str(tmp_path / "in/a.jpg"), "--input", str(tmp_path / "in/*.jpg"))
    assert "1 of 1 images" in twice.stdout


def test_folders_inside_each_other(tmp_path: Path) -> None:
    save(tmp_path / "in/a.png")
    save(tmp_path / "in/out/a.png")
    inside = plan_files([tmp_path / "in"], tmp_path / "in/out", None)
    assert [file.source for file in inside] == [tmp_path / "in/a.png"]
    around = plan_files([tmp_path / "in"], tmp_path, None)
    assert {file.target for file in around} == {tmp_path / "a.png", tmp_path / "out/a.png"}
    with pytest.raises(UsageError, match="which is an input itself"):
        plan_files([tmp_path / "in"], tmp_path / "in", None)
    with pytest.raises(UsageError, match="which is an input itself"):
        plan_files(
            ["in/a.png" if Path.cwd() == tmp_path else tmp_path / "in/a.png"],
            tmp_path / "in/../in",
            None,
        )


def test_nothing_is_written_outside_the_output_folder(tmp_path: Path) -> None:
    save(tmp_path / "in/sub/a.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="lies outside"):
        plan_files([tmp_path / "in"], tmp_path / "out", None)
    files = plan_files([os.path.relpath(tmp_path / "in/sub/a.png")], tmp_path / "out", None)
    assert [file.target for file in files] == [tmp_path / "out/a.png"]


@pytest.mark.parametrize(
    ("given", "message"),
    [("nothing.png", "does not exist"), ("*.xyz", "matches no image"), ("empty", "holds no image")],
)
def test_inputs_that_are_not_there(tmp_path: Path, given: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=message):
        plan_files([str(tmp_path / given)], tmp_path / "out", None)


# --- what fails -------------------------------------------------------------------------


def test_images_that_fail_do_not_stop_the_others(
    tmp_path: Path, restore: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    save(folder / "good.png")
    content = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (99, 99, 3), dtype=np.uint8)).save(content, "JPEG")
    (folder / "cut.jpg").write_bytes(content.getvalue()[:2000])
    (folder / "text.png").write_text("no image at all")
    (folder / "empty.tif").touch()
    (folder / "web.webp").write_text("<html>")
    save(folder / "two.gif", append_images=[Image.new("RGB", (40, 24))], save_all=True)
    save(folder / "large.png", np.zeros((300, 300, 3), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    printed = restore("--input", str(folder))
    assert printed.returncode == 1
    assert "1 of 7 images restored" in printed.stdout
    assert "6 failed:" in printed.stderr
    for name in ("cut.jpg", "text.png", "empty.tif", "two.gif", "web.webp"):
        assert f"{folder / name}: image {folder / name}" in printed.stderr
    assert "large.png is too large to be decoded safely" in printed.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--overlap-px", "60"], "no multiple of 64"),
        (["--tile-px", "100"], "use 192 or more"),
        (["--memory", "0"], "must be above 0"),
        (["--quality", "0"], "between 1 and 100"),
        (["--format", "jp"], "did you mean 'jpeg'"),
        (["--prompt", "derain"], "has no prompts that could be forced"),
        (["--prompt", "derian"], "did you mean 'derain'"),
    ],
)
def test_flags_that_cannot_be_meant(
    tmp_path: Path, restore: Callable[..., Any], arguments: list[str], message: str
) -> None:
    save(tmp_path / "in/a.png")
    printed = restore("--input", str(tmp_path / "in"), *arguments)
    assert printed.returncode == 2
    assert message in printed.stderr
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_restored(
    tmp_path: Path, restore: Callable[..., Any]
) -> None:
    save(tmp_path / "in/a.png")
    (tmp_path / "out").write_text("a file")
    printed = restore("--input", str(tmp_path / "in"))
    assert printed.returncode == 2
    assert "out is a file; name a folder" in printed.stderr
    assert "failed" not in printed.stderr


def test_no_file_of_the_output_folder_is_lost(tmp_path: Path, restore: Callable[..., Any]) -> None:
    save(tmp_path / "in/a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "probe").write_text("mine")
    assert restore("--input", str(tmp_path / "in")).returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "probe"]
    assert (tmp_path / "out" / "probe").read_text() == "mine"


def test_memory_that_is_too_small_fails_the_image(
    tmp_path: Path, restore: Callable[..., Any]
) -> None:
    save(tmp_path / "in/a.png")
    printed = restore("--input", str(tmp_path / "in"), "--memory", "0.001")
    assert printed.returncode == 1
    assert "--memory 0.001 is less than program and image take" in printed.stderr


# --- networks and prompts ---------------------------------------------------------------


def test_a_run_is_known_by_id_beginning_and_label(runs: Path) -> None:
    folder = find_run(runs, "promptir-s0")
    for asked in (folder.path.name, folder.path.name[:14], "promptir", "promptir seed 0"):
        assert find_run(runs, asked) == folder
    with pytest.raises(UsageError, match=r"is no run in .*did you mean 'promptir"):
        find_run(runs, "promptri-s0")
    with pytest.raises(UsageError, match=r"is the beginning of 2 runs: degraded.*promptir"):
        find_run(runs, "")
    with pytest.raises(UsageError, match="--run RUN or --checkpoint FILE"):
        open_restorer(RestorerRequest())
    with pytest.raises(UsageError, match="does not exist"):
        find_run(runs / "nowhere", "promptir")


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels = RNG.integers(0, 256, (70, 90, 3), dtype=np.uint8)
    return save(tmp_path_factory.mktemp("photographs") / "a.png", pixels)


def test_run_and_checkpoint_restore_alike(runs: Path, photograph: Path, tmp_path: Path) -> None:
    weights = find_run(runs, "promptir").weights
    harness.restore(photograph, tmp_path / "run", run="promptir", out=runs)
    harness.restore(photograph, tmp_path / "file", checkpoint=weights)
    first, second = (np.asarray(Image.open(tmp_path / name / "a.png")) for name in ("run", "file"))
    assert np.array_equal(first, second)
    with pytest.raises(UsageError, match="no argument 'promt'"):
        harness.restore(photograph, tmp_path / "x", run="promptir", promt="derain")
    # Without the run's summary nobody knows how the router treats a task.
    with pytest.raises(UsageError, match="is not stored with it; name a scored run with --run"):
        harness.restore(photograph, tmp_path / "x", checkpoint=weights, prompt="derain")


def test_prompts_are_explained_and_forced(
    runs: Path, photograph: Path, tmp_path: Path, restore: Callable[..., Any]
) -> None:
    printed = restore("--input", str(photograph), "--explain", run="promptir")
    assert printed.returncode == 0
    assert "probability" in printed.stdout
    assert "[the router, the whole image]" in printed.stdout
    own = read_json(tmp_path / "out/a.png.prompts.json")
    assert own["chosen_by"] == "the router"
    assert list(own["levels"]) == ["level1", "level2", "level3"]  # JSON has its keys sorted
    for level in own["levels"].values():
        assert sum(level["weights"]) == pytest.approx(1, abs=1e-4)
        assert level["weights"] == pytest.approx(level["probabilities"])
        assert 0 <= level["entropy"] <= 1
        assert level["tasks_routed_alike"]
    summary = json.loads(find_run(runs, "promptir").prompt_summary.read_text())
    load = summary["prompts"]["expert_load"]
    printed = restore(
        "--input", str(photograph), "--explain", "--overwrite", "--prompt", "derain", run="promptir"
    )
    assert printed.returncode == 0
    forced = read_json(tmp_path / "out/a.png.prompts.json")
    assert forced["chosen_by"] == "--prompt derain"
    for level, choice in forced["levels"].items():
        assert choice["weights"] == pytest.approx(load[level]["derain"], abs=1e-3)


def test_a_task_gets_as_many_prompts_as_the_router_mixes() -> None:
    own = PromptChoice("", "", {"level1": LevelChoice((0.0, 0.4, 0.2), None)})
    load = {"level1": {"haze": [0.1, 0.6, 0.3], "rain": [0.7, 0.2, 0.1]}}
    forced = choice_of_task(own, load, "rain", "--prompt rain").levels["level1"].weights
    assert forced == pytest.approx((0.6 * 7 / 9, 0.6 * 2 / 9, 0.0))


def test_a_method_without_known_prompts_says_so(
    tmp_path: Path, photograph: Path, restore: Callable[..., Any]
) -> None:
    printed = restore("--input", str(photograph), "--explain")
    assert "no prompts that are known" in printed.stdout
    assert not (tmp_path / "out/a.png.prompts.json").exists()


def test_large_images_are_restored_in_tiles_that_are_said(
    tmp_path: Path, restore: Callable[..., Any]
) -> None:
    pixels = RNG.integers(0, 256, (300, 500, 3), dtype=np.uint8)
    save(tmp_path / "in/a.png", pixels)
    printed = restore("--input", str(tmp_path / "in"), "--tile-px", "192")
    assert "tiles of up to 192x192 pixels, which differ by 0.000" in printed.stdout
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/a.png")), pixels)


@pytest.mark.parametrize("name", ["explicit", "oracle"])
def test_where_no_router_chooses_a_task_has_its_prompt(name: str) -> None:
    method = build_tiny(name)
    restorer = Restorer(method.eval(), name, TASKS, name == "oracle", torch.device("cpu"))
    pixels = RNG.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    options = TilingOptions(MemoryBudget(restorer.device))
    assert restorer.task_choices == TASKS
    if name == "oracle":
        with pytest.raises(UsageError, match="needs the task of every image"):
            restorer.check_task(None)
    found = restore_pixels(restorer, pixels, "dehaze", options, lambda _: None)
    assert found.choice is not None
    for level in found.choice.levels.values():
        assert level.weights == tuple(float(task == "dehaze") for task in TASKS)
