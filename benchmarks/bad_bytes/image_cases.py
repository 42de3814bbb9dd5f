"""Bad images: cut off, lying about their size, of odd kinds, no images at all."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bad_bytes.case import Case, Change, Expected, nothing
from benchmarks.bad_bytes.payloads import MARK_COMMAND

_SCORE = ("score", "--restored", "restored", "--clean", "clean", "--workers", "1")
_RESTORE = (
    *("restore", "--run", "nafnet seed 0", "--out", "out", "--output", "new"),
    *("--input", "restored", "--threads", "1"),
)
_CHECK = ("data", "check", "own", "--data-root", "data")
_CLEAN = (
    *("run", "--methods", "degraded-input", "--recipe", "quick.yaml", "--out", "new"),
    *("--clean-images", "test=clean", "--threads", "1"),
)
_COMMANDS = {
    "score": (_SCORE, "restored/image1.png"),
    "score clean": (_SCORE, "clean/image1.png"),
    "restore": (_RESTORE, "restored/image1.png"),
    "check": (_CHECK, "data/own/rainy/image1.png"),
    "clean": (_CLEAN, "clean/image1.png"),
}

Make = Callable[[bytes, Any, random.Random], bytes]


def draw(chance: random.Random, whole: Path) -> Case:
    """Draw a bad image and the command that reads it."""
    command = chance.choice(sorted(_COMMANDS))
    words, target = _COMMANDS[command]
    name = chance.choice(sorted(_MAKES))
    expected, make = _MAKES[name]
    if expected == "same" and command == "restore":
        expected = "any"
    if command == "clean" and expected == "refused" and name in _ONLY_KINDS:
        expected = "any"
    harm: Change = partial(_put, target=target, make=make, seed=chance.random())
    if chance.random() < 0.15:
        name = chance.choice(sorted(_FILES))
        expected, harm = "any", partial(_put_file, target=target, make=_FILES[name])
    set_up: Change = nothing
    environment: tuple[tuple[str, str | None], ...] = ()
    if command == "check":
        set_up, environment = _include, (("HARNESS_INCLUDE", "mine"),)
        expected = "any"
    named = (Path(target).name,) if command != "check" and name in _MAKES else ()
    return Case(
        f"image for {command}: {name}",
        words,
        expected,
        named,
        set_up,
        harm,
        environment=environment,
    )


def _include(work: Path) -> None:
    (work / "mine" / "sets").mkdir(parents=True)
    (work / "own.yaml").rename(work / "mine" / "sets" / "own.yaml")


def _put(work: Path, target: str, make: Make, seed: float) -> None:
    from PIL import Image

    path = work / target
    with Image.open(path) as image:
        image.load()
        data = make(path.read_bytes(), image, random.Random(seed))
    path.write_bytes(data)


def _put_file(work: Path, target: str, make: Callable[[Path], object]) -> None:
    (work / target).unlink()
    make(work / target)


def _as(image: Any, kind: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def _png(width: int, height: int, depth: int, kind: int, pixels: bytes, *more: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", head),
            *more,
            _chunk(b"IDAT", zlib.compress(pixels)),
            _chunk(b"IEND", b""),
        )
    )


def _sized(chance: random.Random) -> bytes:
    width, height = chance.choice(
        ((2**31 - 1, 2**31 - 1), (100_000, 100_000), (0, 5), (5, 0), (64, 73), (63, 72), (1, 1))
    )
    return _png(width, height, 8, 2, bytes(2000))


def _bomb(chance: random.Random) -> bytes:
    """A small file of many pixels: below the limit of decoding, or above it."""
    side = chance.choice((9_000, 20_000))
    return _png(side, side, 1, 0, bytes((side // 8 + 1) * side))


def _text_bomb(data: bytes) -> bytes:
    text = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**27)))
    return data[:33] + text + data[33:]


def _profile_bomb(data: bytes) -> bytes:
    profile = _chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2**27)))
    return data[:33] + profile + data[33:]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data) - 20)]


def _bits(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 5, 50))):
        changed[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(changed)


def _deep_png(image: Any) -> bytes:
    import cv2
    import numpy as np

    pixels = np.asarray(image).astype(np.uint16)[..., ::-1] * 257
    return bytes(cv2.imencode(".png", pixels)[1])


def _alpha(image: Any, opaque: bool) -> bytes:
    from PIL import Image

    found = image.convert("RGBA")
    if not opaque:
        found.putpixel((3, 3), (1, 2, 3, 40))
    assert isinstance(found, Image.Image)
    return _as(found, "PNG")


def _rotated(image: Any, chance: random.Random) -> bytes:
    """The same image stored turned, with the EXIF that turns it back."""
    from PIL import Image

    exif = Image.Exif()
    turns = {
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }
    orientation = chance.choice(sorted(turns))
    exif[274] = orientation
    return _as(image.transpose(turns[orientation]), "PNG", exif=exif.tobytes())


def _bad_exif(image: Any, chance: random.Random) -> bytes:
    return _as(image, "PNG", exif=b"Exif\0\0" + chance.randbytes(100))


def _frames(image: Any, kind: str) -> bytes:
    return _as(image, kind, save_all=True, append_images=[image.rotate(90), image.rotate(180)])


def _tiff(image: Any, chance: random.Random) -> bytes:
    data = bytearray(_as(image, "TIFF"))
    for _ in range(4):  # of its directory, which stands at the end
        place = chance.randrange(max(8, len(data) - 200), len(data))
        data[place] = chance.randrange(256)
    return bytes(data)


def _tiff_sized(image: Any, chance: random.Random) -> bytes:
    size = chance.choice((2**31 - 1, 200_000, 0, 10_000))
    data = _as(image, "TIFF")
    return data.replace(
        struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 256, 4, 1, size)
    ).replace(struct.pack("<HHIHH", 256, 3, 1, 64, 0), struct.pack("<HHII", 256, 4, 1, size))


def _jpeg_sized(image: Any, chance: random.Random) -> bytes:
    data = _as(image, "JPEG")
    place = data.index(b"\xff\xc0") + 5
    height, width = chance.choice(
        ((65_500, 65_500), (0, 64), (72, 0), (72, 63), (1, 1), (9000, 9000))
    )
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


_POSTSCRIPT = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%{MARK_COMMAND}) (r) file\n"
_SVG = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
_XPM = b'/* XPM */\nstatic char *x[] = {"9999999 9999999 1 1", "a c #000"};'

_MAKES: dict[str, tuple[Expected, Make]] = {
    "nothing": ("refused", lambda data, image, chance: b""),
    "random bytes": ("refused", lambda data, image, chance: chance.randbytes(500)),
    "a beginning and random bytes": (
        "refused",
        lambda data, image, chance: data[:33] + chance.randbytes(500),
    ),
    "PNG cut off": ("refused", lambda data, image, chance: _cut(data, chance)),
    "PNG with other bytes": ("any", lambda data, image, chance: _bits(data, chance)),
    "PNG of another size than it says": ("refused", lambda data, image, chance: _sized(chance)),
    "a bomb of pixels": ("refused", lambda data, image, chance: _bomb(chance)),
    "a bomb of text": ("any", lambda data, image, chance: _text_bomb(data)),
    "a bomb of a profile": ("any", lambda data, image, chance: _profile_bomb(data)),
    "one bit": ("any", lambda data, image, chance: _as(image.convert("1"), "PNG")),
    "grey": ("any", lambda data, image, chance: _as(image.convert("L"), "PNG")),
    "palette": ("any", lambda data, image, chance: _as(image.convert("P"), "PNG")),
    "sixteen bits": ("same", lambda data, image, chance: _deep_png(image)),
    "alpha, opaque": ("same", lambda data, image, chance: _alpha(image, True)),
    "alpha": ("refused", lambda data, image, chance: _alpha(image, False)),
    "CMYK": (
        "refused",
        lambda data, image, chance: _as(image.convert("CMYK"), chance.choice(("TIFF", "JPEG"))),
    ),
    "Lab": ("refused", lambda data, image, chance: _as(image.convert("LAB"), "TIFF")),
    "floats": ("refused", lambda data, image, chance: _as(image.convert("F"), "TIFF")),
    "32 bits": ("refused", lambda data, image, chance: _as(image.convert("I"), "TIFF")),
    "turned by EXIF": ("same", lambda data, image, chance: _rotated(image, chance)),
    "bad EXIF": ("any", lambda data, image, chance: _bad_exif(image, chance)),
    "another format under this suffix": (
        "same",
        lambda data, image, chance: _as(image, chance.choice(("BMP", "TIFF", "PPM"))),
    ),
    "lossless WebP under this suffix": (
        "same",
        lambda data, image, chance: _as(image, "WEBP", lossless=True),
    ),
    "several frames": (
        "refused",
        lambda data, image, chance: _frames(image, chance.choice(("TIFF", "GIF", "PNG"))),
    ),
    "JPEG cut off": ("refused", lambda data, image, chance: _cut(_as(image, "JPEG"), chance)),
    "JPEG with other bytes": ("any", lambda data, image, chance: _bits(_as(image, "JPEG"), chance)),
    "JPEG of another size than it says": (
        "any",
        lambda data, image, chance: _jpeg_sized(image, chance),
    ),
    "TIFF cut off": (
        "refused",
        lambda data, image, chance: _cut(_as(image, "TIFF", compression="tiff_deflate"), chance),
    ),
    "TIFF with other tags": ("any", lambda data, image, chance: _tiff(image, chance)),
    "TIFF of another size than it says": (
        "any",
        lambda data, image, chance: _tiff_sized(image, chance),
    ),
    "another size": (
        "any",
        lambda data, image, chance: _as(image.crop((0, 0, chance.randrange(1, 64), 20)), "PNG"),
    ),
    "PPM that lies": (
        "refused",
        lambda data, image, chance: b"P6\n99999 99999\n255\n" + bytes(100),
    ),
    "PPM without a size": ("refused", lambda data, image, chance: b"P6\n# " + b"x" * 10**5),
    "PostScript": ("refused", lambda data, image, chance: _POSTSCRIPT.encode()),
    "SVG": ("refused", lambda data, image, chance: _SVG.encode()),
    "XPM": ("refused", lambda data, image, chance: _XPM),
    "a web page": ("refused", lambda data, image, chance: b"<!DOCTYPE html><html></html>"),
    "a pointer of Git LFS": (
        "refused",
        lambda data, image, chance: b"version https://git-lfs.github.com/spec/v1\n",
    ),
    "a pickle": (
        "refused",
        lambda data, image, chance: __import__("pickle").dumps(
            __import__("benchmarks.bad_bytes.payloads", fromlist=["Runs"]).Runs()
        ),
    ),
}
_ONLY_KINDS = {"another size", "a bomb of pixels", "PNG of another size than it says"}
"""What is right where there is one image alone and no pair."""

_FILES: dict[str, Callable[[Path], object]] = {
    "a folder": os.mkdir,
    "a pipe": os.mkfifo,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere.png"),
    "another name": lambda path: path.with_name("\x1b[31m image\n1.png").write_bytes(b"x"),
    "a name that is not UTF-8": lambda path: os.close(
        os.open(os.fsencode(path.parent) + b"/\xff\xfe.png", os.O_CREAT | os.O_WRONLY)
    ),
}
