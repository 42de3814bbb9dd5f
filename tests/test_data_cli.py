"""``python -m harness data …`` as a user types it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from harness.cli import app
from harness.config.errors import HarnessError, UsageError
from tests.conftest import Run
from tests.test_data_sets import grow, paint

Data = Callable[..., str]


@pytest.fixture(autouse=True)
def _no_data_sets_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_DATA_ROOT", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def data() -> Data:
    """Run a subcommand in this process and return what it prints; its errors are raised."""

    def run(*arguments: str, error: str | None = None) -> str:
        done = CliRunner().invoke(app, ["data", *arguments])
        if error is None:
            assert done.exit_code == 0, done.exception
        else:
            assert isinstance(done.exception, HarnessError), done.output
            assert error in str(done.exception)
        return done.output

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Hold three images of the fifteen of LOL-v1, and 24 clean ones of Kodak's."""
    root = tmp_path / "root"
    for number in range(3):
        image = paint(root / f"LOL/eval15/high/{number}.png", number, (60, 40))
        dark = root / f"LOL/eval15/low/{number}.png"
        dark.parent.mkdir(exist_ok=True)
        with Image.open(image) as bright:
            Image.fromarray(np.array(bright) // 4).save(dark)
    for number in range(24):
        paint(root / f"Kodak24/kodim{number:02}.png", 100 + number, (72, 48))
    return root


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (("data", "check", "kodak24"), "harness.api.data_sets.locate_data_sets"),
        (("runs", "list", "--out", "here"), "harness.api.stored_runs"),
    ],
    ids=["data", "runs"],
)
def test_subcommands_of_groups_say_how_to_go_on_when_stopped(
    words: tuple[str, ...], called: str, harness_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(called, stop)
    done = harness_command(*words)
    assert done.returncode == 130
    going_on = f"Go on with: python -m harness {' '.join(words)}\n"
    assert done.stderr == f"harness: stopped; nothing is lost. {going_on}"


def test_bare_data_still_lists_the_settings(data: Data) -> None:
    output = data()
    assert "three-task" in output
    assert "synthetic version: ready" in output


def test_list_says_what_is_there_and_how_to_say_where(data: Data, root: Path) -> None:
    assert "name the folder that holds the data sets with --data-root" in data("list")
    lines = data("list", "--data-root", str(root)).splitlines()
    kodak = next(line.split() for line in lines if line.startswith("kodak24"))
    assert kodak == ["kodak24", "test", "24", "24", str(root / "Kodak24")]
    assert next(line for line in lines if line.startswith("rain100l")).split()[-1] == "100"


def test_show_prints_the_data_set_and_the_nearest_name(data: Data, root: Path) -> None:
    output = data("show", "sots-outdoor")
    assert "prefix-before-underscore" in output
    assert "500 pairs, 492 distinct clean" in output
    assert "not found" in output
    found = data("show", "lol-v1-test", "--data-root", str(root))
    assert "layout released: 3 pairs, 3 distinct clean images" in found
    data("show", "sots", error="unknown data set 'sots'; did you mean")


def test_check_by_name_by_root_and_by_the_users_file(
    data: Data, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = data("check", "kodak24", "--data-root", str(root))
    assert "kodak24: complete and readable" in output
    assert "none of those that can be measured (full-size, cropped)" in output
    both = data("check", "--data-root", str(root), error="1 of 2 checked have problems")
    assert "3 pairs where 15 are expected" in both
    assert "mean PSNR" in both
    path = tmp_path / "config/restoration-harness/config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(f"sets: {{kodak24: {root / 'Kodak24'}}}\n")
    assert "complete" in data("check")
    monkeypatch.setenv("HARNESS_DATA_ROOT", str(tmp_path))
    data("check", error="no data set is found below")


def test_check_names_what_is_damaged_and_no_more_than_asked(data: Data, root: Path) -> None:
    for number in range(5):
        (root / f"Kodak24/kodim{number:02}.png").write_bytes(b"\x89PNG")
    output = data(
        "check", "kodak24", "--show", "2", "--data-root", str(root), error="have problems"
    )
    assert "kodak24: 5 problems" in output
    assert output.count("cannot be decoded") == 2
    assert "… and 3 more of this kind" in output


def test_check_of_what_is_not_there_says_where_it_looked(data: Data, root: Path) -> None:
    data("check", "rain100l", error="1 not found")
    output = data("check", "rain100l", "--data-root", str(root), error="1 not found")
    assert f"not found below {root} (from --data-root)" in output
    grow(root / "Rain100L", ["rainy/1.png", "clear/1.png"])
    output = data("check", "rain100l", "--data-root", str(root), error="1 not found")
    assert f"{root}/Rain100L follows none of its layouts" in output


def test_duplicates_between_and_inside(data: Data, root: Path) -> None:
    clear = data("duplicates", "kodak24", "lol-v1-test", "--data-root", str(root))
    assert clear.splitlines() == [
        "kodak24 and lol-v1-test: no image is there twice",
        "inside kodak24: no image is there twice",
        "inside lol-v1-test: no image is there twice",
    ]
    with Image.open(root / "Kodak24/kodim07.png") as image:
        image.save(root / "LOL/eval15/high/1.png")
        image.save(root / "Kodak24/kodim08.png")
    output = data("duplicates", "kodak24", "lol-v1-test", "--data-root", str(root))
    assert "kodak24 and lol-v1-test: 1 images are there again under 1 names; 2 matches" in output
    assert "kodim07 = kodim08 (equal)" in output
    data("duplicates", "kodak24", "cbsd68", "--data-root", str(root), error="'cbsd68' is not found")


def test_duplicates_of_a_setting_compare_all_its_sets(data: Data, root: Path) -> None:
    for number in range(2):
        paint(root / f"CBSD68/{number}.png", 300 + number, (48, 48))
    with Image.open(root / "CBSD68/0.png") as image:
        image.save(root / "LOL/eval15/high/1.png")
    output = data("duplicates", "--setting", "five-task", "--data-root", str(root))
    assert "reside-ots" in output  # of training, and not there
    assert "cbsd68 and lol-v1-test: 1 images are there again" in output
    where = ("--data-root", str(root))
    data("duplicates", *where, error="name one or two data sets, or a setting")
    data(
        "duplicates", "cbsd68", "--setting", "five-task", *where, error="name one or two data sets"
    )


def test_manifests_are_written_and_verified(data: Data, root: Path, tmp_path: Path) -> None:
    stored = tmp_path / "manifests"
    where = ("--data-root", str(root))
    data("manifest", "verify", "--manifests", str(stored), *where, error="holds no manifest")
    output = data("manifest", "write", "kodak24", "--out", str(stored), *where)
    assert f"kodak24: 24 files in {stored}/kodak24.sha256" in output
    done = subprocess.run(
        ["sha256sum", "-c", "--quiet", str(stored / "kodak24.sha256")],
        cwd=root / "Kodak24", check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    verify = ("manifest", "verify", "--manifests", str(stored), *where)
    assert "kodak24: as its manifest says" in data(*verify)
    (root / "Kodak24/kodim00.png").write_bytes(b"x")
    (root / "Kodak24/kodim01.png").unlink()
    output = data(*verify, error="1 of 1 data sets are not as their manifests say")
    assert "changed: kodim00.png" in output
    assert "missing: kodim01.png" in output


def test_exit_codes_and_one_sentence(harness_command: Run, tmp_path: Path) -> None:
    done = harness_command("data", "check", "--data-root", str(tmp_path / "none"))
    assert done.returncode == UsageError.exit_code
    assert done.stderr.startswith("harness: --data-root: ")
    assert done.stderr.count("\n") == 1
    done = harness_command("data", "check", "kodak24", HARNESS_DATA_ROOT=str(tmp_path))
    assert done.returncode == 1
    assert "kodak24" in done.stdout


def test_listing_loads_no_torch() -> None:
    import sys

    code = (
        "import sys; from harness.cli import app; app(['data', 'list'], standalone_mode=False); "
        "print([m for m in ('torch', 'pandas', 'cv2', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
