"""Specs of data sets, pairing by every rule, data roots, integrity, manifests and duplicates."""

from __future__ import annotations

import math
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.config.data_sets import DataSetSpec
from harness.config.errors import HarnessError, UsageError
from harness.config.files import data_set_names, datasets_folder, load_data_set, read_data_set
from harness.config.user_folders import expanded
from harness.data.images.cache import FOLDER_VARIABLE, DecodedImages, default_folder
from harness.data.on_disk import manifests
from harness.data.on_disk.absence import refuse_unpaired, why_absent
from harness.data.on_disk.duplicates import Duplicate, find_duplicates, read_thumbnails
from harness.data.on_disk.found_set import FoundSet, expected_pairs
from harness.data.on_disk.hashing import content_sha256
from harness.data.on_disk.integrity import check_set
from harness.data.on_disk.layouts import fit
from harness.data.on_disk.locate import (
    DataRoots,
    find_data_roots,
    find_set,
    how_to_name_a_root,
)
from harness.data.on_disk.pairing import RULES
from harness.data.on_disk.sizes import SizeRule, check_sizes
from harness.data.on_disk.test_sets import check_paired
from harness.data.parallel_map import map_files

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no images in {SHARED}")


def grow(folder: Path, names: Iterable[str]) -> Path:
    """Make empty files: pairing never opens one."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def paint(path: Path, seed: int, size: tuple[int, int] = (96, 64)) -> Path:
    """Save a smooth random image that differs from those of other seeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 18, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def spec_of(layouts: list[dict[str, Any]], **more: Any) -> DataSetSpec:
    content: dict[str, Any] = {
        "name": "some", "label": "Some", "title": "t", "homepage": "h",
        "licence": "not stated", "split": "test",
        "about": "a", "folders": ["Some-Set"], "expected": {}, "layouts": layouts,
    }  # fmt: skip
    return DataSetSpec.model_validate(content | more)


def fitted(folder: Path, **layout: Any) -> FoundSet:
    made = spec_of([{"name": "one", **layout}])
    found = fit(made, made.layouts[0], folder)
    assert found is not None
    return found


def named(found: FoundSet) -> dict[str, tuple[str | None, str]]:
    """Return relative degraded and clean file of every image."""
    return {
        pair.image: (
            None if pair.degraded is None else pair.degraded.relative_to(found.folder).as_posix(),
            pair.clean.relative_to(found.folder).as_posix(),
        )
        for pair in found.pairs
    }


def reasons(found: FoundSet) -> dict[str, str]:
    return {item.path.relative_to(found.folder).as_posix(): item.reason for item in found.unpaired}


def not_utf8(folder: Path, name: bytes) -> Path:
    """Return the path of a file whose name is bytes that are not UTF-8."""
    return Path(os.fsdecode(os.fsencode(folder) + b"/" + name))


# --- specs ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", data_set_names())
def test_every_data_set_is_valid_and_says_where_from(name: str) -> None:
    made = load_data_set(name)
    assert made.homepage.startswith("https://") or made.homepage == "not published"
    assert made.licence
    assert made.about
    rules = {layout.pairing for layout in made.layouts}
    assert rules <= {"clean-only", "list-file", *RULES}


def test_counts_that_the_published_code_states() -> None:
    expected = {name: load_data_set(name).expected for name in data_set_names()}
    noise = expected["bsd400"].pairs or 0, expected["wed"].pairs or 0
    rain, haze = expected["raintrainl"].pairs or 0, expected["reside-ots"].pairs or 0
    # PromptIR's epoch of 142,431 samples: nine times noise, 120 times rain, haze once.
    assert 9 * sum(noise) + 120 * rain + haze == 142_431
    blur, dark = expected["gopro-train"].pairs or 0, expected["lol-v1-train"].pairs or 0
    assert 142_431 + 5 * blur + 20 * dark == 162_646
    for split in ("train", "test"):
        composite = expected[f"cdd11-{split}"]
        assert composite.pairs == 11 * (composite.clean or 0)


def test_mistakes_in_a_data_set_are_named(tmp_path: Path) -> None:
    good = (datasets_folder() / "sets/rain100l.yaml").read_text()
    path = tmp_path / "rain100l.yaml"
    for old, new, message in (
        ("licence:", "lisence:", r"rain100l\.yaml.*lisence.*did you mean 'licence'"),
        ("degraded: rainy", "degrated: rainy", r"degrated.*did you mean 'degraded'"),
        ("name: rain100l", "name: rain100h", "name and file must agree"),
        ("pairing: rain-to-norain", "pairing: rain-norain", "pairing"),
        ("name: promptir", "name: two-folders", "two of its layouts have one name"),
        ("degraded: rain,", "degraded: ../rain,", "must lie below"),
        ("degraded: rain,", 'degraded: "{group}",', "come together"),
    ):
        assert old in good
        path.write_text(good.replace(old, new, 1))
        with pytest.raises(UsageError, match=message):
            read_data_set(path)
    with pytest.raises(UsageError, match="did you mean 'rain100l'"):
        load_data_set("rain100")


# --- pairing ----------------------------------------------------------------------------


def test_same_name_wants_the_suffix_too(tmp_path: Path) -> None:
    grow(tmp_path, ["in/1.png", "in/2.png", "in/3.jpg", "gt/1.png", "gt/3.png", "gt/4.png"])
    found = fitted(tmp_path, degraded="in", clean="gt", pairing="same-name")
    assert named(found) == {"1": ("in/1.png", "gt/1.png")}
    assert reasons(found) == {
        "in/2.png": f"its clean image {tmp_path}/gt/2.png is missing",
        "in/3.jpg": f"its clean image {tmp_path}/gt/3.jpg is missing",
        "gt/3.png": "no degraded image matches it",
        "gt/4.png": "no degraded image matches it",
    }


def test_one_name_in_several_forms_pairs(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "é")
    apart = unicodedata.normalize("NFD", "é")
    grow(tmp_path, ["in/1.PNG", f"in/{apart}.png", "gt/1.png", f"gt/{composed}.Png"])
    found = fitted(tmp_path, degraded="in", clean="gt", pairing="same-name", clean_names="*.PNG")
    assert named(found) == {
        "1": ("in/1.PNG", "gt/1.png"),
        apart: (f"in/{apart}.png", f"gt/{composed}.Png"),
    }
    assert not found.unpaired
    assert not found.others


def test_a_list_names_files_in_any_form(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "é")
    grow(tmp_path, [f"in/{apart}.PNG", f"gt/{apart}.PNG"])
    (tmp_path / "list.txt").write_text("in/é.png\n", encoding="utf-8")
    found = fitted(tmp_path, degraded="in", clean="gt", pairing="list-file", list_file="list.txt")
    assert len(found.pairs) == 1
    assert not found.unpaired


@pytest.mark.parametrize("pairing", ["same-name", "clean-only"])
def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path, pairing: str) -> None:
    grow(tmp_path, ["in/1.png", "gt/1.png"])
    bad = not_utf8(tmp_path / "gt", b"b\xff.png")
    bad.touch()
    degraded = {"degraded": "in"} if pairing == "same-name" else {}
    found = fitted(tmp_path, clean="gt", pairing=pairing, **degraded)
    assert len(found.pairs) == 1
    assert [item.path for item in found.unpaired] == [bad]
    with pytest.raises(HarnessError, match=r"b\\xff\.png: its name is not UTF-8.*rename"):
        check_paired(found)
    with pytest.raises(HarnessError, match=r"b\\xff\.png: its name is not UTF-8.*rename"):
        manifests.hashes(found)


def test_a_folder_whose_path_is_not_utf8_is_no_hindrance(tmp_path: Path) -> None:
    root = not_utf8(tmp_path, b"r\xff")
    made = pairs_on_disk(root / "some", 2)
    found = find_set(made, DataRoots(root, "test"))
    assert found is not None
    assert len(content_sha256(found.pairs)) == 64
    image = DecodedImages(tmp_path / "cache").read(found.pairs[0].clean)
    assert image.shape[2] == 3


def test_strays_of_one_folder_are_named_once(tmp_path: Path) -> None:
    grow(tmp_path, ["rain-1.png", "norain-1.png", "rain-2.png", "x.png", "list.txt"])
    found = fitted(
        tmp_path, degraded=".", clean=".", pairing="rain-to-norain",
        degraded_names="rain-*", clean_names="norain-*",
    )  # fmt: skip
    assert [path.name for path in found.others] == ["list.txt", "x.png"]
    assert [item.path.name for item in found.unpaired] == ["rain-2.png"]
    (tmp_path / "list.txt").write_text("rain-1.png norain-1.png\n")
    listed = fitted(
        tmp_path, degraded=".", clean=".", pairing="list-file", list_file="list.txt",
        degraded_names="rain-*", clean_names="norain-*",
    )  # fmt: skip
    assert [path.name for path in listed.others] == ["x.png"]
    assert [item.path.name for item in listed.unpaired] == ["rain-2.png"]


def test_names_that_do_not_pair_are_no_absent_set(tmp_path: Path) -> None:
    grow(tmp_path / "Some", ["in/x1.png", "gt/y1.png"])
    made = spec_of(
        [{"name": "one", "degraded": "in", "clean": "gt", "pairing": "same-name"}], name="some"
    )
    roots = DataRoots(tmp_path, "--data-root")
    assert find_set(made, roots) is None
    message = r"'some' lies in .*Some, but none of its 2 files.*x1\.png: its clean image.*missing"
    assert re.search(message, why_absent(made, roots))
    with pytest.raises(HarnessError, match=message):
        refuse_unpaired(made, roots)
    (tmp_path / "Some/gt/y1.png").unlink()
    refuse_unpaired(made, roots)
    assert "is not found below" in why_absent(made, DataRoots(tmp_path / "Some/in", "--data-root"))


def test_same_stem_refuses_to_choose(tmp_path: Path) -> None:
    grow(tmp_path, ["in/1.jpg", "in/2.jpg", "gt/1.png", "gt/2.png", "gt/2.bmp"])
    found = fitted(tmp_path, degraded="in", clean="gt", pairing="same-stem")
    assert named(found) == {"1": ("in/1.jpg", "gt/1.png")}
    assert reasons(found) == {"in/2.jpg": "two clean images match it: 2.bmp and 2.png"}


def test_images_of_one_stem_keep_their_suffix(tmp_path: Path) -> None:
    grow(tmp_path, ["in/1.jpg", "in/1.png", "in/2.png", "gt/1.png", "gt/2.png"])
    found = fitted(tmp_path, degraded="in", clean="gt", pairing="same-stem")
    assert list(named(found)) == ["1.jpg", "1.png", "2"]


def test_haze_of_one_scene_shares_its_clean_image(tmp_path: Path) -> None:
    hazy = ["input/0001_0.8_0.2.jpg", "input/0001_1_0.04.jpg", "input/0002_0.8_0.2.jpg"]
    grow(tmp_path, [*hazy, "input/plain.jpg", "target/0001.png", "target/0002.png"])
    found = fitted(tmp_path, degraded="input", clean="target", pairing="prefix-before-underscore")
    assert named(found)["0001_1_0.04"] == ("input/0001_1_0.04.jpg", "target/0001.png")
    assert len(found.pairs) == 3
    assert len(found.clean_files) == 2
    assert reasons(found) == {
        "input/plain.jpg": "the name does not follow the rule prefix-before-underscore"
    }


def test_rain_in_two_folders_and_in_one(tmp_path: Path) -> None:
    grow(tmp_path / "two", ["rainy/rain-1.png", "rainy/rain-12.png", "gt/norain-1.png"])
    two = fitted(tmp_path / "two", degraded="rainy", clean="gt", pairing="rain-to-norain")
    assert named(two) == {"rain-1": ("rainy/rain-1.png", "gt/norain-1.png")}
    one = grow(
        tmp_path / "one",
        ["rain-1.png", "norain-1.png", "rain-2.png", "norain-3.png", "rainstreak-1.png"],
    )
    found = fitted(
        one, degraded=".", clean=".", degraded_names="rain-*", clean_names="norain-*",
        pairing="rain-to-norain",
    )  # fmt: skip
    assert named(found) == {"rain-1": ("rain-1.png", "norain-1.png")}
    assert set(reasons(found)) == {"rain-2.png", "norain-3.png"}
    assert [path.name for path in found.others] == ["rainstreak-1.png"]


def test_raindrop_and_outdoor_rain(tmp_path: Path) -> None:
    grow(tmp_path / "drop", ["data/0_rain.png", "data/1.png", "gt/0_clean.png"])
    drop = fitted(tmp_path / "drop", degraded="data", clean="gt", pairing="rain-to-clean")
    assert named(drop) == {"0_rain": ("data/0_rain.png", "gt/0_clean.png")}
    assert set(reasons(drop)) == {"data/1.png"}
    rainy = ["input/im_0001_s80_a04.png", "input/im_0001_s95_a05.png", "input/im_1.png"]
    grow(tmp_path / "rain", [*rainy, "gt/im_0001.png"])
    rain = fitted(tmp_path / "rain", degraded="input", clean="gt", pairing="first-seven-characters")
    assert len(rain.pairs) == 2
    assert set(reasons(rain)) == {"input/im_1.png"}


def test_clean_only_and_what_is_no_image(tmp_path: Path) -> None:
    grow(tmp_path, ["b.PNG", "a.png", "._a.png", "Thumbs.db", "sub/c.png"])
    found = fitted(tmp_path, clean=".", pairing="clean-only")
    assert named(found) == {"a": (None, "a.png"), "b": (None, "b.PNG")}
    assert [path.name for path in found.others] == ["._a.png", "Thumbs.db", "sub"]


def test_a_list_names_the_pairs(tmp_path: Path) -> None:
    images = ["input/a.png", "gt/a.png", "input/b.jpg", "gt/other.png", "input/c.png", "gt/c.png"]
    grow(tmp_path, images)
    (tmp_path / "list.txt").write_text(
        "input/a.png\r\ninput/b.jpg gt/other.png\n\ninput/gone.png\ninput/a.png\n/elsewhere/x.png\n"
    )
    found = fitted(
        tmp_path, degraded="input", clean="gt", pairing="list-file", list_file="list.txt"
    )
    assert named(found) == {
        "a": ("input/a.png", "gt/a.png"),
        "b": ("input/b.jpg", "gt/other.png"),
    }
    rejected = {item.path.name: item.reason for item in found.unpaired}
    assert rejected == {
        "gone.png": "list.txt names it; it is missing",
        "a.png": "list.txt names it twice",
        "c.png": "list.txt does not name it",
        "x.png": "list.txt names it outside input/",
    }


def test_groups_by_name_share_clean_images_and_miss_them_one_by_one(tmp_path: Path) -> None:
    files = [f"{group}/{n}.png" for group in ("clear", "haze", "rain") for n in (1, 2)]
    grow(tmp_path, files[:-1])
    found = fitted(
        tmp_path, degraded="{group}", clean="clear", groups=("rain", "haze", "snow"),
        pairing="same-name",
    )  # fmt: skip
    assert list(named(found)) == ["haze/1", "haze/2", "rain/1"]
    assert {pair.group for pair in found.pairs} == {"haze", "rain"}
    assert reasons(found) == {
        "snow": "this folder of degraded images is missing",
        "clear/2.png": "no degraded image of rain matches it",
    }


def test_groups_by_folder_are_sequences(tmp_path: Path) -> None:
    for sequence in ("GOPR1", "GOPR2"):
        grow(tmp_path / sequence, ["blur/000047.png", "sharp/000047.png", "blur_gamma/000047.png"])
    grow(tmp_path, ["notes/read.txt"])
    found = fitted(
        tmp_path, degraded="{group}/blur", clean="{group}/sharp", groups=("*",),
        pairing="same-name",
    )  # fmt: skip
    assert named(found) == {
        f"{s}/000047": (f"{s}/blur/000047.png", f"{s}/sharp/000047.png") for s in ("GOPR1", "GOPR2")
    }
    assert not found.unpaired


LAYOUT_RULES = sorted({rule.name for rule in RULES.values()})
NAMES = st.sets(
    st.builds(
        "{}/{}{}".format,
        st.sampled_from(["in", "gt"]),
        st.text("ab1_-", min_size=1, max_size=9) | st.integers(1, 9).map("rain-{}".format)
        | st.integers(1, 9).map("norain-{}".format),
        st.sampled_from([".png", ".jpg", ".txt"]),
    ),
    max_size=30,
)  # fmt: skip


@given(names=NAMES, rule=st.sampled_from(LAYOUT_RULES))
def test_no_file_is_lost(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], rule: str
) -> None:
    folder = grow(tmp_path_factory.mktemp("any"), names)
    made = spec_of([{"name": "one", "degraded": "in", "clean": "gt", "pairing": rule}])
    found = fit(made, made.layouts[0], folder)
    if found is None:
        return
    paired = {path for pair in found.pairs for path in (pair.degraded, pair.clean)}
    unpaired = {item.path for item in found.unpaired}
    existing = {folder / name for name in names}
    assert existing == (paired | unpaired | set(found.others)) & existing
    assert not paired & set(found.others)
    assert len({pair.image for pair in found.pairs}) == len(found.pairs)
    assert [pair.image for pair in found.pairs] == sorted(pair.image for pair in found.pairs)
    assert found == fit(made, made.layouts[0], folder)


# --- data roots ------------------------------------------------------------------------------


def user_file(home: Path, text: str) -> dict[str, str]:
    path = home / "restoration-harness" / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {"XDG_CONFIG_HOME": str(home)}


def test_flag_then_variable_then_file(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("flag", "variable", "file", "rain")]
    for folder in folders:
        folder.mkdir()
    environ = user_file(tmp_path, f"data_root: {folders[2]}\nsets: {{rain100l: {folders[3]}}}\n")
    by_file = find_data_roots(None, environ)
    assert (by_file.folder, by_file.sets) == (folders[2], {"rain100l": folders[3]})
    environ["HARNESS_DATA_ROOT"] = str(folders[1])
    assert find_data_roots(None, environ).folder == folders[1]
    by_flag = find_data_roots(folders[0], environ)
    assert (by_flag.folder, dict(by_flag.sets), by_flag.origin) == (folders[0], {}, "--data-root")
    assert not find_data_roots(None, {"XDG_CONFIG_HOME": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataroot: /tmp", "unknown key 'dataroot'; did you mean 'data_root'"),
        ("sets: {rain100: /tmp}", "unknown data set 'rain100' in 'sets'; did you mean 'rain100l'"),
        ("data_root: some/where", "is not absolute"),
        ("data_root: /does/not/exist", "data_root: '/does/not/exist' is no folder"),
        ("- a list", "must hold a mapping"),
    ],
)
def test_mistakes_in_the_users_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=rf"config\.yaml.*{message}"):
        find_data_roots(None, user_file(tmp_path, text))


def test_a_root_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--data-root: '.*none' is no folder"):
        find_data_roots(tmp_path / "none")
    with pytest.raises(UsageError, match=r"HARNESS_DATA_ROOT: '.*none' is no folder"):
        find_data_roots(None, {"HARNESS_DATA_ROOT": str(tmp_path / "none")})


RAIN = ("rain-1.png", "norain-1.png")


@pytest.mark.parametrize(
    ("place", "layout"),
    [
        ("rain100l", "two-folders"),
        ("RAIN100L", "promptir"),
        ("Test/Derain/Rain100L", "moce-ir"),
        ("Rain100L_old", "released"),
    ],
)
def test_a_set_is_found_where_and_as_it_is(tmp_path: Path, place: str, layout: str) -> None:
    names = {
        "two-folders": ("rain/norain-1.png", "norain/norain-1.png"),
        "promptir": ("input/1.png", "target/1.png"),
        "moce-ir": ("rainy/rain-1.png", "gt/norain-1.png"),
        "released": RAIN,
    }[layout]
    grow(tmp_path / place, names)
    found = find_set(load_data_set("rain100l"), DataRoots(tmp_path, "test"))
    assert found is not None
    assert (found.folder, found.layout.name, len(found.pairs)) == (tmp_path / place, layout, 1)
    assert not found.unpaired
    itself = find_set(load_data_set("rain100l"), DataRoots(tmp_path / place, "test"))
    assert itself is not None
    assert itself.pairs == found.pairs
    placed = find_set(
        load_data_set("rain100l"), DataRoots(None, "test", {"rain100l": tmp_path / place})
    )
    assert placed is not None
    assert placed.pairs == found.pairs


def test_the_fuller_place_counts_and_foreign_folders_do_not(tmp_path: Path) -> None:
    grow(tmp_path / "Rain100L", ["input/1.png", "target/1.png"])
    grow(tmp_path / "derain/Rain100L", [f"{f}/{n}.png" for f in ("input", "target") for n in "12"])
    grow(tmp_path, ["input/1.png", "target/1.png"])
    found = find_set(load_data_set("rain100l"), DataRoots(tmp_path, "test"))
    assert found is not None
    assert found.folder == tmp_path / "derain/Rain100L"
    assert find_set(load_data_set("gopro-test"), DataRoots(tmp_path, "test")) is None
    assert find_set(load_data_set("rain100l"), DataRoots(None, "test")) is None


def test_bsd400_and_wed_in_one_folder(tmp_path: Path) -> None:
    bsd, wed = (f"a{n:06}.jpg" for n in range(400)), (f"{n:05}.bmp" for n in range(1, 4745))
    grow(tmp_path / "Train/Denoise", [*bsd, *wed])
    for name, count in (("bsd400", 400), ("wed", 4744)):
        found = find_set(load_data_set(name), DataRoots(tmp_path, "test"))
        assert found is not None
        assert (len(found.pairs), len(found.others)) == (count, 5144 - count)


NAMES_BY_RULE = {
    "clean-only": (None, "{}.png"),
    "same-name": ("{}.png", "{}.png"),
    "same-stem": ("{}.jpg", "{}.png"),
    "prefix-before-underscore": ("{}_0.8_0.2.jpg", "{}.png"),
    "first-seven-characters": ("im_000{}_s80_a04.png", "im_000{}.png"),
    "rain-to-norain": ("rain-{}.png", "norain-{}.png"),
    "rain-to-clean": ("{}_rain.png", "{}_clean.png"),
    "one-clean": ("degraded_{}.png", "gt.png"),
    "list-file": ("{}.png", "{}.png"),
}
OWN_NAMES = {"a*.jpg": "a{}.jpg", "[0-9][0-9][0-9][0-9][0-9].bmp": "0000{}.bmp"}


@pytest.mark.parametrize(
    ("name", "layout"),
    [(name, layout.name) for name in data_set_names() for layout in load_data_set(name).layouts],
)
def test_every_documented_layout_is_found_in_every_documented_place(
    tmp_path: Path, name: str, layout: str
) -> None:
    made = load_data_set(name)
    chosen = next(item for item in made.layouts if item.name == layout)
    degraded_name, clean_name = NAMES_BY_RULE[chosen.pairing]
    clean_name = OWN_NAMES.get(chosen.clean_names, clean_name)
    groups = ["one", "two"] if chosen.groups == ("*",) else list(chosen.groups) or [""]
    files = []
    for group in groups:
        for number in (1, 2):
            files.append(f"{chosen.clean}/{clean_name}".replace("{group}", group).format(number))
            if degraded_name is not None:
                file = f"{chosen.degraded}/{degraded_name}".replace("{group}", group)
                files.append(file.format(number))
    for count, folder in enumerate([name, *made.folders]):
        root = tmp_path / str(count)
        grow(root / folder, files)
        if chosen.list_file is not None:
            lines = [file for file in files if file.startswith(f"{chosen.degraded}/")]
            (root / folder / chosen.list_file).write_text("\n".join(lines))
        found = find_set(made, DataRoots(root, "test"))
        assert found is not None
        assert found.folder == root / folder
        assert len(found.pairs) == 2 * len(groups)
        assert not found.unpaired
        fitting = fit(made, chosen, root / folder)
        assert fitting is not None
        assert named(fitting) == named(found)


# --- integrity -----------------------------------------------------------------------------


def pairs_on_disk(folder: Path, count: int = 3) -> DataSetSpec:
    for number in range(count):
        clean = paint(folder / f"gt/{number}.png", number)
        with Image.open(clean) as image:
            degraded = np.array(image).astype(int) - np.array(image).astype(int) % 64
        (folder / "in").mkdir(exist_ok=True)
        Image.fromarray(degraded.astype(np.uint8)).save(folder / f"in/{number}.png")
    return spec_of(
        [{"name": "one", "degraded": "in", "clean": "gt", "pairing": "same-name"}],
        expected={"pairs": count, "clean": count},
        variants=[
            {"name": "png", "about": "a", "clean_suffix": ".png", "size_px": (64, 96)},
            {"name": "jpg", "about": "a", "clean_suffix": ".jpg"},
            {"name": "dark", "about": "a", "clean_suffix": ".png", "degraded_psnr_rgb_db": 9.0},
        ],
    )


def test_a_whole_set_has_no_problem_and_a_release(tmp_path: Path) -> None:
    made = pairs_on_disk(tmp_path / "some")
    found = find_set(made, DataRoots(tmp_path, "test"))
    assert found is not None
    reported: list[tuple[int, int]] = []
    report = check_set(found, lambda done, total: reported.append((done, total)))
    assert report.problems == ()
    assert report.sizes == {(96, 64): 3}
    assert [variant.name for variant in report.variants] == ["png"]
    assert reported[-1] == (3, 3)
    squares = [
        np.mean(
            (np.array(Image.open(p.degraded)) - np.array(Image.open(p.clean)).astype(float)) ** 2
        )
        for p in found.pairs
        if p.degraded is not None
    ]
    expected = np.mean([10 * np.log10(255**2 / square) for square in squares])
    assert report.degraded_psnr_rgb_db == pytest.approx(expected, abs=1e-3)
    near = round(float(expected), 2)
    variants = [made.variants[2].model_copy(update={"degraded_psnr_rgb_db": near})]
    again = find_set(made.model_copy(update={"variants": variants}), DataRoots(tmp_path, "test"))
    assert again is not None
    assert [variant.name for variant in check_set(again).variants] == ["dark"]


def test_identical_pairs_are_named_and_no_part_of_the_mean(tmp_path: Path) -> None:
    made = pairs_on_disk(tmp_path / "some", 3)
    found = find_set(made, DataRoots(tmp_path, "test"))
    assert found is not None
    same = found.pairs[1]
    assert same.degraded is not None
    shutil.copy(same.clean, same.degraded)
    report = check_set(found)
    assert report.identical == (same.degraded,)
    assert report.degraded_psnr_rgb_db is not None
    assert math.isfinite(report.degraded_psnr_rgb_db)


def test_sizes_are_checked_from_headers_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache/images"))
    made = pairs_on_disk(tmp_path / "some", 3)
    found = find_set(made, DataRoots(tmp_path, "test"))
    assert found is not None
    rule = SizeRule(64, "the patch of 64 pixels", "lower patch_px")
    check_sizes("some", found.pairs, "digest", rule)
    too_much = SizeRule(65, "the patch of 65 pixels", "lower patch_px")
    with pytest.raises(HarnessError, match=r"3 of 3 images of some.*96x64.*lower patch_px"):
        check_sizes("some", found.pairs, "digest", too_much)
    paint(found.pairs[2].clean, 9, (96, 80))
    # What was found in order once is not looked through again; other contents are.
    check_sizes("some", found.pairs, "digest", rule)
    with pytest.raises(HarnessError, match=r"1 of 3 pairs of some differ.*96x64.*96x80"):
        check_sizes("some", found.pairs, "other digest", rule)


@pytest.mark.parametrize(
    ("groups", "group", "expected"),
    [((), None, 22), (("a", "b"), "a", 11), (("a", "b", "c"), "a", None), (("*",), "a", None)],
)
def test_the_expectation_of_a_group(
    groups: tuple[str, ...], group: str | None, expected: int | None
) -> None:
    folder = "{group}" if groups else "in"
    made = spec_of(
        [{"name": "one", "degraded": folder, "clean": "gt", "pairing": "same-name",
          "groups": groups}],
        expected={"pairs": 22},
    )  # fmt: skip
    found = FoundSet(made, Path(), made.layouts[0], (), (), ())
    assert expected_pairs(found, group) == expected


def test_without_a_home_nothing_is_stored_and_all_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(Path, "expanduser", lambda path: no_home())
    for name in (FOLDER_VARIABLE, "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HARNESS_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    assert default_folder() is None
    assert not find_data_roots()
    assert "HARNESS_DATA_ROOT" in how_to_name_a_root()
    made = pairs_on_disk(tmp_path / "some", 2)
    found = find_set(made, DataRoots(tmp_path, "test"))
    assert found is not None
    assert len(content_sha256(found.pairs)) == 64
    check_sizes("some", found.pairs, "digest", SizeRule(16, "16 pixels", "take them out"))
    assert DecodedImages(None).read(found.pairs[0].clean).shape[2] == 3
    with pytest.raises(UsageError, match="no such home folder is known"):
        expanded(Path("~/data"), "--data-root")


def test_every_kind_of_damage_is_named(tmp_path: Path) -> None:
    made = pairs_on_disk(tmp_path / "some", 5)
    folder = tmp_path / "some"
    whole = (folder / "in/0.png").read_bytes()
    (folder / "in/0.png").write_bytes(whole[: len(whole) // 2])
    paint(folder / "gt/1.png", 1, (90, 64))
    (folder / "in/2.png").unlink()
    (folder / "gt/3.png").unlink()
    (folder / "gt/3.png").symlink_to("nowhere.png")
    found = find_set(made, DataRoots(tmp_path, "test"))
    assert found is not None
    report = check_set(found)
    text_of = {problem.kind: problem.text for problem in report.problems}
    assert set(text_of) == {"count", "unreadable", "size", "unpaired"}
    texts = "\n".join(problem.text for problem in report.problems)
    assert "4 pairs where 5 are expected" in texts
    assert f"image {folder}/in/0.png cannot be decoded" in texts
    assert f"image {folder}/gt/3.png is missing" in texts
    assert "differ in size: 96x64 and 90x64" in text_of["size"]
    assert text_of["unpaired"] == f"{folder}/gt/2.png: no degraded image matches it"


def test_work_on_files_keeps_the_order_and_raises() -> None:
    assert map_files(lambda x: x * x, range(100), threads=5) == [x * x for x in range(100)]
    assert map_files(str, []) == []
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise HarnessError("three")

    with pytest.raises(HarnessError, match="three"):
        map_files(work, range(10_000), threads=2)
    assert len(begun) < 100


# --- manifests --------------------------------------------------------------------------


def test_a_manifest_says_what_changed(tmp_path: Path) -> None:
    made = pairs_on_disk(tmp_path / "some")
    found = find_set(made, DataRoots(tmp_path, "test"))
    assert found is not None
    path = manifests.manifest_path(tmp_path, "some")
    path.write_text(manifests.manifest_text(manifests.hashes(found)))
    assert len(manifests.read_manifest(path)) == 6
    assert not manifests.compare(found, path)
    with (tmp_path / "some/in/0.png").open("ab") as file:
        file.write(b"\0")
    (tmp_path / "some/in/1.png").unlink()
    paint(tmp_path / "some/gt/9.png", 9)
    found = find_set(made, DataRoots(tmp_path, "test"))
    assert found is not None
    differences = manifests.compare(found, path)
    assert differences == manifests.Differences(("in/0.png",), ("in/1.png",), ("gt/9.png",))
    path.write_text("nonsense\n")
    with pytest.raises(HarnessError, match=r"some\.sha256, line 1"):
        manifests.read_manifest(path)
    with pytest.raises(HarnessError, match=r"does not exist.*manifest write"):
        manifests.read_manifest(tmp_path / "none.sha256")


# --- duplicates ------------------------------------------------------------------------------


def altered(folder: Path, count: int) -> dict[str, Path]:
    """Save images and copies of them that are changed in ways that do not change what is seen."""
    files = {}
    for number in range(count):
        path = paint(folder / f"a{number}.png", number, (240, 160))
        files[f"a{number}"] = path
    with Image.open(files["a0"]) as image:
        image.save(folder / "copy.bmp")
        image.resize((120, 80), Image.Resampling.BICUBIC).save(folder / "half.png")
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mirror.png")
        image.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png")
        image.crop((2, 2, 238, 158)).save(folder / "cut.png")
        image.save(folder / "jpeg.jpg", quality=30)
    return files


def test_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    files = altered(tmp_path, 40)
    names = ("copy.bmp", "half.png", "mirror.png", "turned.png", "cut.png", "jpeg.jpg")
    originals = read_thumbnails("a", list(files.items()))
    copies = read_thumbnails("b", [(name, tmp_path / name) for name in names])
    found = {match.second.image: match for match in find_duplicates(originals, copies)}
    assert {name: match.first.image for name, match in found.items()} == dict.fromkeys(names, "a0")
    assert [name for name, match in found.items() if match.exact] == ["copy.bmp"]
    assert found["mirror.png"].turned == "mirrored"
    assert found["half.png"].turned == ""
    assert "turned by" in found["turned.png"].turned
    assert find_duplicates(originals, originals) == []
    among = find_duplicates(copies, copies)
    assert len(among) == len(names) * (len(names) - 1) // 2


def test_flat_images_are_only_found_exactly(tmp_path: Path) -> None:
    images = []
    for name, value in (("a", 100), ("b", 101), ("c", 100)):
        Image.new("RGB", (64, 48), (value,) * 3).save(tmp_path / f"{name}.png")
        images.append((name, tmp_path / f"{name}.png"))
    thumbnails = read_thumbnails("flat", images)
    found = find_duplicates(thumbnails, thumbnails)
    assert [(match.first.image, match.second.image) for match in found] == [("a", "c")]


# --- the images that lie next to the repository -------------------------------------------


def shared_set(name: str) -> FoundSet:
    found = find_set(load_data_set(name), DataRoots(SHARED, "test"))
    assert found is not None
    return found


@needs_shared
def test_real_folders_are_recognised() -> None:
    found = {name: shared_set(name) for name in ("cbsd68", "rain100l", "raintrainl")}
    assert {name: item.layout.name for name, item in found.items()} == {
        "cbsd68": "flat", "rain100l": "two-folders", "raintrainl": "two-folders",
    }  # fmt: skip
    assert [len(item.pairs) for item in found.values()] == [68, 100, 100]
    assert all(not item.unpaired and not item.others for item in found.values())
    others = set(data_set_names()) - set(found)
    assert not [
        n for n in others if find_set(load_data_set(n), DataRoots(SHARED, "test")) is not None
    ]


@needs_shared
def test_real_images_are_checked_and_the_release_is_known() -> None:
    rain = check_set(shared_set("rain100l"))
    assert rain.problems == ()
    assert rain.degraded_psnr_rgb_db == pytest.approx(25.52, abs=0.005)
    assert [variant.name for variant in rain.variants] == ["old"]
    noise = check_set(shared_set("cbsd68"))
    assert noise.problems == ()
    assert [variant.name for variant in noise.variants] == ["png"]
    half = check_set(shared_set("raintrainl"))
    assert {problem.kind for problem in half.problems} == {"count"}


@needs_shared
def test_real_duplicates_are_found_and_nothing_else() -> None:
    sets = {}
    for name in ("cbsd68", "rain100l", "raintrainl"):
        found = shared_set(name)
        sets[name] = read_thumbnails(name, [(p.image, p.clean) for p in found.pairs])

    def matches(first: str, second: str) -> list[Duplicate]:
        return find_duplicates(sets[first], sets[second])

    both = matches("cbsd68", "rain100l")
    assert all(match.exact for match in both)
    assert len({match.first.image for match in both}) == 24
    assert len({match.second.image for match in both}) == 25
    assert len(both) == 25
    by_first: dict[str, set[str]] = {}
    for match in both:
        by_first.setdefault(match.first.image, set()).add(match.second.image)
    assert {"norain-3", "norain-4"} in by_first.values()
    inside = {
        frozenset((match.first.image, match.second.image))
        for match in matches("rain100l", "rain100l")
    }
    listed = ((3, 4), (5, 14), (6, 25), (7, 36), (8, 47), (9, 58), (10, 69), (11, 80), (12, 91))
    assert inside == {frozenset(f"norain-{n}" for n in pair) for pair in listed}
    for first, second in (
        ("cbsd68", "cbsd68"), ("raintrainl", "raintrainl"), ("cbsd68", "raintrainl"),
        ("rain100l", "raintrainl"),
    ):  # fmt: skip
        assert matches(first, second) == []
