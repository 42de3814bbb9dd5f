"""The catalogue of photographs: its card, its files, and what is said when one is missing."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.config.errors import HarnessError, UsageError
from harness.data.synthetic import photographs

ENTRY = (
    "  - {{name: {name}, package: {package}, distribution: a-distribution, path: x.png, "
    "scene: s, about: a}}\n"
)


def card(folder: Path, entry: str) -> Path:
    (folder / "photographs.yaml").write_text("photographs:\n" + entry)
    return folder


def test_the_stereo_pair_is_one_scene(cards: Path) -> None:
    entries = photographs.catalogue(cards)
    assert entries["motorcycle_left"].scene == entries["motorcycle_right"].scene
    assert len({entry.scene for entry in entries.values()}) == len(entries) - 1


def test_an_unknown_key_of_the_card_is_named(tmp_path: Path) -> None:
    entry = ENTRY.format(name="x", package="skimage").replace("scene: s", "scene: s, scnee: s")
    with pytest.raises(UsageError, match=r"photographs\.yaml.*scnee.*did you mean 'scene'"):
        photographs.catalogue(card(tmp_path, entry))


def test_an_absent_package_is_named_with_the_way_out(tmp_path: Path) -> None:
    folder = card(tmp_path, ENTRY.format(name="x", package="no_such_package_anywhere"))
    with pytest.raises(HarnessError, match=r"'x'.*pip install .*a-distribution"):
        photographs.locate(folder, "x")


def test_locating_imports_no_package() -> None:
    code = (
        "import sys; from harness.config import files as cards, photographs as p; c = cards.cards_folder();"
        "[p.locate(c, n) for n in p.catalogue(c)];"
        "sys.exit(bool({'skimage', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_description_is_the_hash_of_the_file(cards: Path) -> None:
    described = photographs.describe(cards, "chelsea")
    content = photographs.locate(cards, "chelsea").read_bytes()
    assert described.name == "chelsea"
    assert described.sha256 == hashlib.sha256(content).hexdigest()


def test_pixels_are_shared_and_read_only(cards: Path) -> None:
    image = photographs.load(cards, "chelsea")
    assert image is photographs.load(cards, "chelsea")
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 0


def test_colour_survives_reading(tmp_path: Path) -> None:
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    Image.fromarray(pixels).save(tmp_path / "c.png")
    assert np.array_equal(photographs.read_image(tmp_path / "c.png"), pixels)


def test_a_scene_may_stand_twice_in_one_split(cards: Path) -> None:
    photographs.check_split(cards, ("motorcycle_left", "motorcycle_right"), ("china",), ("coffee",))
    with pytest.raises(UsageError, match="'motorcycle'"):
        photographs.check_split(cards, (), ("motorcycle_right",), ("motorcycle_left",))
