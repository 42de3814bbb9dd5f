"""Scoring folders of restored images."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.config.errors import HarnessError, UsageError
from harness.config.files import load_protocol
from harness.data.on_disk.pair_templates import template_rule
from harness.data.on_disk.pairing import pair_folders
from harness.evaluation.metrics.psnr import psnr_rgb, psnr_y601
from harness.evaluation.score_folders import (
    FileScore,
    FolderScores,
    ScoringRequest,
    score_files,
    score_folders,
)
from tests.conftest import Run

RAIN100L = Path(__file__).parents[2] / "shared/data/Rain100L"


def mean_of(files: list[FileScore], protocol: str, metric: str) -> float:
    return FolderScores(tuple(files), (), {}, (), ()).mean(protocol, metric)


def write(path: Path, seed: int, height: int = 37, width: int = 53) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return levels


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for k in range(1, 4):
        write(tmp_path / f"restored/{k}.png", k)
        write(tmp_path / f"clean/{k}.png", 10 + k)
    return tmp_path / "restored", tmp_path / "clean"


# --- pairing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "restored", "clean"),
    [
        ("stem", ["a.png", "b.png"], ["a.bmp", "b.bmp"]),
        ("prefix", ["0001_0.8_0.2.png", "0001_1_0.2.png"], ["0001.png", "0001.png"]),
        ("rain", ["rain-2.png", "rain-10.png"], ["norain-2.png", "norain-10.png"]),
        ("rain", ["norain-2.png", "norain-10.png"], ["norain-2.png", "norain-10.png"]),
    ],
)
def test_pairing_rules(tmp_path: Path, rule: str, restored: list[str], clean: list[str]) -> None:
    for name in restored:
        write(tmp_path / "r" / name, 0)
    for name in clean:
        write(tmp_path / "c" / name, 0)
    (tmp_path / "r/notes.txt").write_text("no image")
    found = pair_folders(tmp_path / "r", tmp_path / "c", rule)
    assert [(a.name, b.name) for a, b in found.pairs] == list(zip(restored, clean, strict=True))
    assert not found.restored_alone
    assert not found.clean_alone


def test_files_without_partner_are_named(folders: tuple[Path, Path]) -> None:
    restored, clean = folders
    write(restored / "9.png", 0)
    (restored / "2.png").unlink()
    found = pair_folders(restored, clean, "stem")
    assert [p.name for p in found.restored_alone] == ["9.png"]
    assert [p.name for p in found.clean_alone] == ["2.png"]


def test_a_rule_that_pairs_nothing_names_one_that_does(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path / f"r/rain-{k}.png", 0)
        write(tmp_path / f"c/norain-{k}.png", 0)
    with pytest.raises(UsageError, match="--pairing rain would pair 3"):
        pair_folders(tmp_path / "r", tmp_path / "c", "stem")


@pytest.mark.parametrize(
    ("restored", "clean", "rule", "message"),
    [
        ("nowhere", "clean", "stem", "nowhere is not a folder"),
        ("empty", "clean", "stem", "holds no image"),
        ("restored", "clean", "stems", "did you mean 'stem'"),
        ("twice", "clean", "stem", "1.bmp and 1.png in .* claim the same partner"),
    ],
)
def test_folders_that_cannot_be_paired(
    folders: tuple[Path, Path], restored: str, clean: str, rule: str, message: str
) -> None:
    root = folders[0].parent
    (root / "empty").mkdir()
    write(root / "twice/1.png", 0)
    write(root / "twice/1.bmp", 0)
    with pytest.raises(UsageError, match=message):
        pair_folders(root / restored, root / clean, rule)


@pytest.mark.parametrize(
    ("template", "restored", "clean"),
    [
        ("{name}x4_Model", "0001x4_Model.png", "0001.png"),
        ("{name}x{scale}_{model}.png", "a_bx2_SwinIR.png", "a_b.bmp"),
        ("{scene}_{frame}_out = {scene}_{frame}_gt", "7_12_out.png", "7_12_gt.png"),
        ("out_{name}", "out_1.PNG", "1.png"),
    ],
)
def test_templates_pair_names_by_fields(
    tmp_path: Path, template: str, restored: str, clean: str
) -> None:
    write(tmp_path / "c" / clean, 0)
    image = Image.open(tmp_path / "c" / clean)
    (tmp_path / "r").mkdir()
    image.save(tmp_path / "r" / restored, format="PNG")
    found = pair_folders(tmp_path / "r", tmp_path / "c", template_rule(template))
    assert [(a.name, b.name) for a, b in found.pairs] == [(restored, clean)]
    with pytest.raises(UsageError, match="--pair-template"):
        pair_folders(tmp_path / "r", tmp_path / "c", "rain")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("x4_Model", "has no field"),
        ("{image}x4", "{name} must stand in both"),
        ("{a}_out={b}", "{b} must stand in both"),
        ("{a}_out=fixed", "{a} must stand in both"),
    ],
)
def test_templates_that_name_no_clean_file_are_refused(template: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        template_rule(template)


def test_names_in_several_forms_pair_and_other_bytes_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "r" / unicodedata.normalize("NFD", "é.PNG"), 0)
    write(tmp_path / "c" / unicodedata.normalize("NFC", "é.png"), 0)
    assert len(pair_folders(tmp_path / "r", tmp_path / "c", "stem").pairs) == 1
    bad = Path(os.fsdecode(os.fsencode(tmp_path / "r") + b"/b\xff.png"))
    bad.touch()
    with pytest.raises(UsageError, match=r"--restored.*b\\xff\.png is not UTF-8; rename"):
        pair_folders(tmp_path / "r", tmp_path / "c", "stem")


# --- scoring ----------------------------------------------------------------------------


def test_files_are_scored_in_order_by_any_number_of_threads(folders: tuple[Path, Path]) -> None:
    pairs = pair_folders(*folders, "stem").pairs
    rules = [load_protocol(n).protocol for n in ("three-task", "basicsr-y")]
    seen: list[tuple[int, int]] = []
    scores = score_files(pairs, rules, workers=3, on_progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert scores == score_files(pairs, rules)
    for k, score in enumerate(scores, 1):
        a, b = (np.asarray(Image.open(folder / f"{k}.png")) / np.float32(255) for folder in folders)
        cut = np.s_[2:34, 2:50]
        values = score.values
        assert values["rgb-float-uniform7"]["psnr_rgb"] == pytest.approx(psnr_rgb(a[cut], b[cut]))
        assert values["y601-uint8-gauss11"]["psnr_y601"] == pytest.approx(psnr_y601(a, b))
    mean = np.mean([s.values["rgb-float-uniform7"]["psnr_rgb"] for s in scores])
    assert mean_of(scores, "rgb-float-uniform7", "psnr_rgb") == pytest.approx(mean)


def test_sizes_that_differ_are_named_together(folders: tuple[Path, Path]) -> None:
    restored, clean = folders
    write(restored / "1.png", 0, 36, 53)
    write(restored / "3.png", 0, 32, 48)
    pairs = pair_folders(restored, clean, "stem").pairs
    cut, whole = (load_protocol(n).protocol for n in ("three-task", "basicsr-y"))
    with pytest.raises(HarnessError, match=r"2 of 3 .*1.png is 53x36, 1.png 53x37; 3.png is 48x32"):
        score_files(pairs, [cut, whole])
    # Images that were cut to 16 before restoring are no mismatch where the protocol cuts.
    assert len(score_files(pairs[1:], [cut])) == 2
    with pytest.raises(HarnessError, match="1 of 3"):
        score_files(pairs, [cut])


def test_a_file_that_is_no_image_is_named(folders: tuple[Path, Path]) -> None:
    restored, clean = folders
    whole = (restored / "2.png").read_bytes()
    rule = load_protocol("basicsr-y").protocol
    for cut in (10, len(whole) // 2):
        (restored / "2.png").write_bytes(whole[:cut])
        with pytest.raises(HarnessError, match=r"2\.png cannot be decoded"):
            score_files(pair_folders(restored, clean, "stem").pairs, [rule])


def test_a_folder_is_scored_under_several_protocols(folders: tuple[Path, Path]) -> None:
    restored, clean = folders
    write(restored / "alone.png", 0)
    seen: list[tuple[int, int]] = []
    request = ScoringRequest(restored, clean, ("three-task", "mioir"), ("psnr_y601",), workers=2)
    scores = score_folders(request, lambda *at: seen.append(at))
    assert seen[-1] == (3, 3)
    assert [path.name for path in scores.restored_alone] == ["alone.png"]
    assert scores.unpaired_sentences() == ["1 restored images have no clean one: alone.png"]
    frame = scores.to_dataframe()
    assert list(frame) == ["restored", "clean", "protocol", "metric", "value"]
    # Two metrics and one more, PSNR and one more, of three images.
    assert len(frame) == 3 * (3 + 2)
    selected = frame[(frame.protocol == "rgb-uint8-border4") & (frame.metric == "psnr_rgb")]
    assert scores.mean("rgb-uint8-border4", "psnr_rgb") == pytest.approx(selected.value.mean())
    text = scores.to_text()
    for word in ("three-task", "mioir", "PSNR [dB]", "PSNR (Y) [dB]", "SSIM", "3 of 4 restored"):
        assert word in text
    assert f"{selected.value.mean():.2f}" in text
    out = restored.parent / "values.csv"
    scores.write(out)
    with out.open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["value"]) for line in lines] == frame.value.tolist()


def test_orientation_is_applied_before_sizes_are_compared(tmp_path: Path) -> None:
    levels = write(tmp_path / "c/1.png", 0)
    exif = Image.Exif()
    exif[274] = 6
    lying = Image.fromarray(np.rot90(levels))
    (tmp_path / "r").mkdir()
    lying.save(tmp_path / "r/1.png", exif=exif)
    (tmp_path / "r/1.pdf").write_bytes(b"%PDF")
    scores = score_folders(ScoringRequest(tmp_path / "r", tmp_path / "c", ("basicsr-y",)))
    assert len(scores.files) == 1
    assert scores.mean("y601-uint8-gauss11", "ssim_y601_gauss11") == pytest.approx(1.0)


def test_a_small_image_is_named_and_the_others_are_scored(folders: tuple[Path, Path]) -> None:
    restored, clean = folders
    write(restored / "9.png", 0, 12, 40)
    write(clean / "9.png", 1, 12, 40)
    scores = score_folders(ScoringRequest(restored, clean, ("three-task", "basicsr-y")))
    assert len(scores.values("rgb-float-uniform7", "psnr_rgb")) == 3
    assert len(scores.values("y601-uint8-gauss11", "psnr_y601")) == 4
    (sentence,) = scores.too_small_sentences()
    assert "1 of 4 images are too small for three-task" in sentence
    assert "9.png" in sentence
    assert "40x12" in sentence
    for number in (1, 2, 3):
        (restored / f"{number}.png").unlink()
    with pytest.raises(HarnessError, match=r"no image .* is large enough.*40x12"):
        score_folders(ScoringRequest(restored, clean, ("three-task",)))


def test_an_image_beyond_the_limit_of_pixels_is_named(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)
    with pytest.raises(HarnessError, match=r"\d\.png is too large to be decoded safely"):
        score_folders(ScoringRequest(*folders, ("three-task",)))


def test_a_metric_that_does_not_exist_stops_at_once(folders: tuple[Path, Path]) -> None:
    request = ScoringRequest(*folders, ("three-task",), ("psnr_rbg",))
    with pytest.raises(UsageError, match="did you mean 'psnr_rgb'"):
        score_folders(request)


# --- the command --------------------------------------------------------------------------


def test_the_command_prints_a_table_and_writes_a_csv(
    folders: tuple[Path, Path], harness_command: Run
) -> None:
    restored, clean = folders
    write(restored / "alone.png", 0)
    out = restored.parent / "values.csv"
    done = harness_command(
        "score",
        f"--restored={restored}",
        f"--clean={clean}",
        "--protocol=three-task,mioir",
        "--metrics=psnr_y601",
        f"--csv={out}",
    )
    assert done.returncode == 0, done.stderr
    assert "1 restored images have no clean one: alone.png" in done.stderr
    for word in ("three-task", "mioir", "PSNR [dB]", "PSNR (Y) [dB]", "SSIM", "3 of 4 restored"):
        assert word in done.stdout
    with out.open() as file:
        lines = list(csv.DictReader(file))
    # Two metrics and one more, PSNR and one more, of three images.
    assert len(lines) == 3 * (3 + 2)
    values = [
        float(line["value"])
        for line in lines
        if (line["protocol"], line["metric"]) == ("rgb-uint8-border4", "psnr_rgb")
    ]
    assert f"{np.mean(values):.2f}" in done.stdout


def test_the_command_explains_what_is_wrong(
    folders: tuple[Path, Path], harness_command: Run
) -> None:
    restored, clean = folders
    done = harness_command("score", f"--restored={restored}", f"--clean={clean}", "--protocol=y")
    assert done.returncode == 2
    assert done.stderr.startswith("harness: unknown protocol 'y'; ")
    assert "Traceback" not in done.stderr


def test_the_command_imports_no_torch(folders: tuple[Path, Path]) -> None:
    restored, clean = folders
    code = (
        "import sys\n"
        f"sys.argv = ['harness', 'score', '--restored', {str(restored)!r}, '--clean', "
        f"{str(clean)!r}, '--protocol', 'three-task,basicsr-y']\n"
        "from harness.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'pandas', 'pyiqa', 'matplotlib', 'skimage'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- real images --------------------------------------------------------------------------


@pytest.mark.skipif(not RAIN100L.is_dir(), reason=f"{RAIN100L} is not on this machine")
def test_rainy_inputs_read_what_the_field_reads() -> None:
    pairs = pair_folders(RAIN100L / "rain", RAIN100L / "norain", "rain").pairs
    assert len(pairs) == 100
    rgb, luma = (
        load_protocol(name).protocol.model_copy(update={"metrics": (metric,)})
        for name, metric in (("three-task", "psnr_rgb"), ("basicsr-y", "psnr_y601"))
    )
    scores = score_files(pairs, [rgb, luma], workers=2)
    assert mean_of(scores, rgb.id, "psnr_rgb") == pytest.approx(25.52, abs=0.03)
    assert mean_of(scores, luma.id, "psnr_y601") == pytest.approx(26.90, abs=0.03)
