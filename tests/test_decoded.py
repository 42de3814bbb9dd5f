"""Decoded images mapped from disk, and crops of pairs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from harness.config.errors import HarnessError
from harness.data.images import cache
from harness.data.images.cache import DecodedImages, default_folder, file_state
from harness.data.images.crops import crop_alike, to_unit


def random_image(seed: int, height: int = 21, width: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def images(tmp_path: Path) -> DecodedImages:
    cache.mapped_image.cache_clear()
    return DecodedImages(tmp_path / "cache")


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(random_image(0)).save(path)
    return path


def test_reads_what_pillow_reads_and_maps_it(images: DecodedImages, png: Path) -> None:
    found = images.read(png)
    np.testing.assert_array_equal(found, random_image(0))
    assert not found.flags.writeable
    assert len(list(images.folder.iterdir())) == 1
    # In another process the file is not decoded again.
    cache.mapped_image.cache_clear()
    stored = next(images.folder.iterdir())
    np.save(stored, random_image(7))
    np.testing.assert_array_equal(images.read(png), random_image(7))


def test_a_changed_file_is_decoded_anew(images: DecodedImages, png: Path) -> None:
    images.read(png)
    Image.fromarray(random_image(1, 9, 11)).save(png)
    os.utime(png, ns=(1, 10**15))
    np.testing.assert_array_equal(images.read(png), random_image(1, 9, 11))


def test_files_of_one_size_and_time_that_change_places_are_noticed(
    images: DecodedImages, tmp_path: Path
) -> None:
    paths = [tmp_path / "a.bmp", tmp_path / "b.bmp"]
    for seed, path in enumerate(paths):
        Image.fromarray(random_image(seed)).save(path)
        os.utime(path, ns=(10**15, 10**15))
        np.testing.assert_array_equal(images.read(path), random_image(seed))
    states = [file_state(path).text for path in paths]
    for source, target in (("a", "c"), ("b", "a"), ("c", "b")):
        (tmp_path / f"{source}.bmp").rename(tmp_path / f"{target}.bmp")
    np.testing.assert_array_equal(images.read(paths[0]), random_image(1))
    assert file_state(paths[0]).text not in states


@pytest.mark.parametrize("left", [0, 10, 200], ids="{} bytes left".format)
def test_a_damaged_store_is_repaired(images: DecodedImages, png: Path, left: int) -> None:
    images.read(png)
    cache.mapped_image.cache_clear()
    stored = next(images.folder.iterdir())
    whole = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(whole[:left])
    np.testing.assert_array_equal(images.read(png), random_image(0))
    assert stored.read_bytes() == whole


def test_without_space_or_folder_images_are_decoded(
    tmp_path: Path, png: Path, images: DecodedImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    np.testing.assert_array_equal(images.read(png), random_image(0))
    assert images.folder is not None
    assert not list(images.folder.iterdir())
    assert images.read(png) is not images.read(png), "images that are not mapped are not kept"
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    np.testing.assert_array_equal(DecodedImages(blocked / "x").read(png), random_image(0))


@pytest.mark.parametrize("content", [None, b"", b"no image"], ids=["missing", "empty", "text"])
def test_what_cannot_be_read_is_named(
    images: DecodedImages, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "bad.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HarnessError, match=r"bad\.png"):
        images.read(path)


def test_the_folder_is_the_users_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv(cache.FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_folder() == Path("/cache/restoration-harness/images")


@pytest.mark.parametrize("seed", range(8))
def test_pairs_are_cut_and_turned_alike(seed: int) -> None:
    clean = random_image(seed)
    degraded, target = crop_alike(
        [255 - clean, clean], 16, np.random.default_rng(seed), augmentation="dihedral"
    )
    assert degraded.shape == target.shape == (16, 16, 3)
    np.testing.assert_array_equal(degraded, 255 - target)


@pytest.mark.parametrize("seed", range(4))
def test_without_symmetries_a_crop_is_as_it_was(seed: int) -> None:
    column = np.arange(30, dtype=np.uint8)[:, None, None].repeat(30, 1).repeat(3, 2)
    crop = crop_alike([column], 16, np.random.default_rng(seed), augmentation="none")[0]
    np.testing.assert_array_equal(crop[:, 0, 0], crop[0, 0, 0] + np.arange(16))


def test_pairs_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(HarnessError, match="differ in size: 30x21 and 30x20"):
        crop_alike([random_image(0), random_image(0, 20, 30)], 16, rng, augmentation="dihedral")
    with pytest.raises(HarnessError, match="smaller than the patch of 64"):
        crop_alike([random_image(0)], 64, rng, augmentation="dihedral-without-identity")


def test_unit_values_are_exact() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(to_unit([ramp])[0, 0], ramp[..., 0].astype(np.float32) / 255)
