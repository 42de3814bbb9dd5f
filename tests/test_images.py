"""What every kind of image file becomes, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from harness.config.errors import HarnessError
from harness.data.images.read import image_size, read_image

RNG = np.random.default_rng(5)
COLOUR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "webp"])
def test_lossless_formats_give_the_same_pixels(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path, **({"lossless": True} if suffix == "webp" else {}))
    read = read_image(path)
    assert np.array_equal(read, COLOUR)
    assert read.flags.writeable
    assert read.flags.c_contiguous


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.pgm"])
def test_grey_is_repeated(tmp_path: Path, name: str) -> None:
    Image.fromarray(np.full((4, 5), 77, np.uint8)).save(tmp_path / name)
    assert np.array_equal(read_image(tmp_path / name), np.full((4, 5, 3), 77))


def test_palette_and_black_and_white(tmp_path: Path) -> None:
    palette = Image.fromarray(COLOUR).quantize(8)
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_image(tmp_path / "p.png"), np.array(palette.convert("RGB")))
    Image.fromarray(GREY > 127).save(tmp_path / "b.png")
    assert np.array_equal(read_image(tmp_path / "b.png")[..., 1], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_dropped_only_where_it_is_opaque(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(COLOUR).convert(mode)
    image.save(tmp_path / "opaque.png")
    expected = np.array(Image.fromarray(COLOUR).convert(mode).convert("RGB"))
    assert np.array_equal(read_image(tmp_path / "opaque.png"), expected)
    image.putpixel((2, 3), (9, 9, 9, 254) if mode == "RGBA" else (9, 254))
    image.save(tmp_path / "glass.png")
    with pytest.raises(HarnessError, match=r"glass\.png is transparent.*background"):
        read_image(tmp_path / "glass.png")


def test_a_transparent_palette_colour_is_seen(tmp_path: Path) -> None:
    palette = Image.fromarray(COLOUR).quantize(8)
    used = int(np.array(palette)[0, 0])
    palette.save(tmp_path / "p.png", transparency=used)
    with pytest.raises(HarnessError, match="transparent"):
        read_image(tmp_path / "p.png")


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_rounded(tmp_path: Path, suffix: str, channels: int) -> None:
    deep = RNG.integers(0, 65536, (6, 9, channels), dtype=np.uint16)
    deep[0, 0], deep[0, 1] = 65535, 255  # 255 / 257 rounds to 1; its upper byte is 0
    if channels == 4:
        deep[..., 3] = 65535
    path = tmp_path / f"deep.{suffix}"
    stored = deep[..., [2, 1, 0, 3][:channels]] if channels > 1 else deep
    assert cv2.imwrite(str(path), stored)
    expected = np.rint(deep[..., :3] / 257).astype(np.uint8)
    if channels == 1:
        expected = expected.repeat(3, axis=2)
    read = read_image(path)
    assert np.array_equal(read, expected)
    assert read[0, 1, 0] == 1


def test_sixteen_bit_pgm(tmp_path: Path) -> None:
    deep = np.array([[0, 255, 65535]], np.uint16)
    (tmp_path / "a.pgm").write_bytes(
        b"P5\n# a comment\n3 1\n65535\n" + deep.astype(">u2").tobytes()
    )
    assert read_image(tmp_path / "a.pgm")[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_orientation_is_applied_as_viewers_do(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLOUR).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.array(ImageOps.exif_transpose(image))
    assert np.array_equal(read_image(path), expected)


def test_orientation_of_deep_images(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    deep = Image.fromarray(np.arange(54, dtype=np.uint16).reshape(6, 9) * 1000)
    deep.save(tmp_path / "a.png", exif=exif)
    expected = np.rot90(np.rint(np.array(deep) / 257), -1)
    assert np.array_equal(read_image(tmp_path / "a.png")[..., 0], expected)


@pytest.mark.parametrize(
    ("image", "name", "message"),
    [
        (Image.fromarray(COLOUR).convert("CMYK"), "a.jpg", r"is CMYK.*convert it to RGB"),
        (Image.fromarray(COLOUR).convert("LAB"), "a.tif", "is LAB"),
        (Image.fromarray(GREY.astype(np.float32)), "a.tif", "32-bit pixels"),
        (Image.fromarray(GREY.astype(np.int32)), "a.tif", "32-bit pixels"),
    ],
)
def test_refused_modes(tmp_path: Path, image: Image.Image, name: str, message: str) -> None:
    image.save(tmp_path / name)
    with pytest.raises(HarnessError, match=rf"{name} .*{message}"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_several_frames_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    path = tmp_path / f"film.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(HarnessError, match=rf"film\.{suffix} has 2 frames"):
        read_image(path)


def test_no_image_no_file_and_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n")
    for name, message in (
        ("empty.png", "cannot be decoded"),
        ("text.png", "cannot be decoded"),
        ("none.png", "is missing"),
        ("", "is a folder"),
    ):
        with pytest.raises(HarnessError, match=message):
            read_image(tmp_path / name)


def test_an_image_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.bmp"
    Image.new("RGB", (2, 2)).save(path)
    content = bytearray(path.read_bytes())
    content[18:26] = (60000).to_bytes(4, "little") * 2
    path.write_bytes(content)
    with pytest.raises(HarnessError, match=r"bomb\.bmp is too large"):
        read_image(path)


def _encoded(kind: str, deep: bool) -> bytes:
    big = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    if deep:
        return bytes(cv2.imencode(f".{kind}", big.astype(np.uint16) * 200)[1])
    file = io.BytesIO()
    Image.fromarray(big).save(file, kind)
    return file.getvalue()


WHOLE = {
    "png": _encoded("png", False),
    "deep.png": _encoded("png", True),
    "jpeg": _encoded("jpeg", False),
    "tiff": _encoded("tiff", False),
    "webp": _encoded("webp", False),
}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(WHOLE)), share=st.floats(0, 0.95))
def test_a_file_that_is_cut_off_is_never_read(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(WHOLE[kind][: int(len(WHOLE[kind]) * share)])
    with pytest.raises(HarnessError, match=r"cut\."):
        read_image(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_damaged_file_is_read_or_refused_by_name(
    tmp_path: Path, kind: str, damage: list[tuple[float, int]]
) -> None:
    content = bytearray(WHOLE[kind])
    for place, value in damage:
        content[int(place * len(content))] = value
    path = tmp_path / f"damaged.{kind}"
    path.write_bytes(content)
    try:
        image = read_image(path)
    except HarnessError as error:
        refusal = str(error)
    else:
        assert image.dtype == np.uint8
        assert image.shape[2:] == (3,)
        return
    assert "damaged." in refusal


def test_the_first_frame_of_a_phones_photograph_counts(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    grey = Image.new("RGB", (16, 16), (90, 90, 90))
    grey.save(path, format="MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    with Image.open(path) as image:
        assert image.format == "MPO"
    assert np.array_equal(read_image(path), np.full((16, 16, 3), 90))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_in_the_header_is_that_of_the_image(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (31, 20)).save(path, exif=exif)
    assert image_size(path) == read_image(path).shape[:2]
    assert image_size(path) == ((20, 31) if orientation < 5 else (31, 20))


def test_the_size_of_a_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(HarnessError, match=r"a\.png is missing"):
        image_size(path)
    path.write_bytes(b"no image")
    with pytest.raises(HarnessError, match=r"a\.png cannot be decoded"):
        image_size(path)
