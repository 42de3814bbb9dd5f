"""The embedded photographs: their catalogue, their files, and what is said when one is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.config.errors import HarnessError, UsageError
from harness.config.files import photograph_catalogue
from harness.config.hashing import file_sha256
from harness.config.photographs import CatalogueEntry, catalogue_entry, check_split, read_catalogue
from harness.config.settings import Setting, SyntheticData
from harness.data.synthetic.photographs import describe, load, locate

ENTRY = (
    "  - {name: x, package: skimage, distribution: scikit-image, path: data/none.png, "
    "scene: s, scnee: s, about: a}\n"
)


def entry(package: str) -> CatalogueEntry:
    return CatalogueEntry(
        name="x",
        package=package,
        distribution="a-distribution",
        path="data/none.png",
        scene="s",
        about="a",
    )


def split_of(setting: Setting, **parts: tuple[str, ...]) -> SyntheticData:
    empty: dict[str, tuple[str, ...]] = {"train": (), "validation": (), "test": ()}
    return setting.synthetic.model_copy(update={**empty, **parts})


def test_all_photographs_are_readable_colour() -> None:
    for name in photograph_catalogue():
        image = load(name)
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert min(image.shape[:2]) >= 300
        assert np.ptp(image.astype(int), axis=2).max() > 20, "a grey image among natural scenes"


def test_the_stereo_pair_is_one_scene() -> None:
    entries = photograph_catalogue()
    assert entries["motorcycle_left"].scene == entries["motorcycle_right"].scene
    assert len({entry.scene for entry in entries.values()}) == len(entries) - 1


def test_an_unknown_key_of_the_catalogue_is_named(tmp_path: Path) -> None:
    path = tmp_path / "photographs.yaml"
    path.write_text("photographs:\n" + ENTRY)
    with pytest.raises(UsageError, match=r"photographs\.yaml.*scnee.*did you mean 'scene'"):
        read_catalogue(path)


@pytest.mark.parametrize("package", ["no_such_package_anywhere", "skimage"])
def test_an_absent_package_or_file_is_named_with_the_way_out(package: str) -> None:
    with pytest.raises(HarnessError, match=r"'x' is missing.*pip install .*a-distribution"):
        locate(entry(package))


def test_locating_imports_no_package() -> None:
    code = (
        "import sys; from harness.config.files import photograph_catalogue as catalogue;"
        "from harness.data.synthetic.photographs import locate;"
        "[locate(entry) for entry in catalogue().values()];"
        "sys.exit(bool({'skimage', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_description_is_the_hash_of_the_file() -> None:
    described = describe("chelsea")
    assert described.name == "chelsea"
    path = locate(catalogue_entry(photograph_catalogue(), "chelsea"))
    assert described.sha256 == file_sha256(path)


def test_pixels_are_shared_and_read_only() -> None:
    image = load("chelsea")
    assert image is load("chelsea")
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 0


def test_splits_are_by_scene(setting: Setting) -> None:
    data, entries = setting.synthetic, photograph_catalogue()
    assert len(data.test) >= 4
    sides = []
    for names in (data.train, data.validation, data.test):
        sides.append({entries[name].scene for name in names})
    assert len(set.union(*sides)) == sum(map(len, sides))


def test_a_scene_may_be_twice_in_one_split_and_not_in_two(setting: Setting) -> None:
    both = ("motorcycle_left", "motorcycle_right")
    check_split(photograph_catalogue(), split_of(setting, train=both, test=("coffee",)))
    crossing = split_of(setting, train=both[:1], test=both[1:])
    with pytest.raises(UsageError, match="scene 'motorcycle' is in train and in test"):
        check_split(photograph_catalogue(), crossing)
    with pytest.raises(UsageError, match="did you mean 'astronaut'"):
        check_split(photograph_catalogue(), split_of(setting, train=("astronut",)))
