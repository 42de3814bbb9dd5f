"""Draw what the degradations look like, for docs/degradations.md and for calibrating settings.

python -m benchmarks.gallery --out docs/gallery.jpg
python -m benchmarks.gallery --out /tmp/seven.jpg --setting seven-task
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import TypeAdapter

from harness.config.degradation import AnyDegradation
from harness.config.files import load_setting
from harness.config.seeding import generator
from harness.data.synthetic.dead_leaves import canvas
from harness.data.synthetic.degrade import degrade
from harness.data.synthetic.depth import depth_maps
from harness.data.synthetic.photographs import load

SIDE_PX = 176
QUALITY = 85
HEAD_PX = 18

# Windows of photographs that are in the public domain or CC0: name, top, left.
ASTRONAUT = ("astronaut", 10, 110)
COFFEE = ("coffee", 60, 180)
CHELSEA = ("chelsea", 30, 110)
ROCKET = ("rocket", 235, 215)

Strength = Callable[[float], dict[str, Any]]
"""Parameters of a degradation at a strength from 0 (weak) to 1 (strong)."""


def between(weak: float, strong: float, at: float) -> list[float]:
    value = weak + at * (strong - weak)
    return [value, value]


DRAWS = {"haze": 1, "motion blur": 1, "rain, veil": 3, "raindrops": 3}
"""Which of the endless draws of a degradation is shown, where the first is not typical."""

# Every row shows one degradation over the range that the settings use.
ROWS: list[tuple[str, tuple[str, int, int], Strength]] = [
    ("noise", CHELSEA, lambda s: {"kind": "noise", "sigma_255": between(15, 50, s)}),
    (
        "haze",
        ASTRONAUT,
        lambda s: {"kind": "haze", "beta": between(0.6, 2.2, s), "airlight": [0.9, 0.9]},
    ),
    (
        "rain",
        ROCKET,
        lambda s: {
            "kind": "rain",
            "density": between(0.0012, 0.004, s),
            "length_px": between(18, 40, s),
            "width_px": [1.2, 1.2],
            "angle_deg": [12, 12],
            "strength": between(0.5, 0.8, s),
        },
    ),
    (
        "snow",
        ROCKET,
        lambda s: {
            "kind": "snow",
            "density": between(0.005, 0.012, s),
            "diameter_px": [1.2, 4 + 14 * s],
            "opacity": [0.9, 0.9],
            "motion": [1.0, 1.0],
            "angle_deg": [20, 20],
            "veil": between(0.0, 0.12, s),
        },
    ),
    (
        "raindrops",
        ASTRONAUT,
        lambda s: {
            "kind": "raindrops",
            "coverage": between(0.12, 0.4, s),
            "radius_px": [5, 14 + 12 * s],
            "shrinking": [3, 3],
            "blur_px": [2, 2],
        },
    ),
    (
        "motion blur",
        ASTRONAUT,
        lambda s: {
            "kind": "motion-blur",
            "length_px": between(4, 20, s),
            "bend_deg": [50, 50],
            "roll_deg": [0.5, 0.5],
        },
    ),
    (
        "Gaussian blur",
        CHELSEA,
        lambda s: {"kind": "gaussian-blur", "sigma_px": between(1, 3, s), "kernel_px": [21]},
    ),
    ("defocus", ROCKET, lambda s: {"kind": "defocus", "radius_px": between(1.5, 6, s)}),
    (
        "low light",
        COFFEE,
        lambda s: {
            "kind": "low-light",
            "exposure": between(0.12, 0.03, s),
            "white_electrons": [3000, 3000],
            "read_electrons": [3, 3],
        },
    ),
    ("JPEG", CHELSEA, lambda s: {"kind": "jpeg", "quality": between(50, 10, s)}),
    (
        "resampling",
        ASTRONAUT,
        lambda s: {"kind": "resample", "factor": int(2 + 2 * s), "kernel": "antialiased"},
    ),
    (
        "rain, veil",
        ROCKET,
        lambda s: {
            "kind": "composed",
            "parts": [
                {
                    "kind": "rain",
                    "density": between(0.003, 0.007, s),
                    "length_px": [22, 22],
                    "width_px": [1.3, 1.3],
                    "angle_deg": [-8, -8],
                    "strength": between(0.5, 0.8, s),
                },
                {"kind": "haze", "beta": between(0.8, 2.0, s), "airlight": [0.75, 0.75]},
            ],
        },
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", help="draw the tasks of a setting instead")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.setting:
        draw_setting(arguments.setting, arguments.out)
        return
    rows = [strengths(*row) for row in ROWS]
    # Two rows of degradations side by side make a page that fits a screen.
    half = (len(rows) + 1) // 2
    left, right = np.vstack(rows[:half]), np.vstack(rows[half:])
    gap = np.full((left.shape[0], 8, 3), 255, np.uint8)
    save(np.hstack([left, gap, right]), arguments.out)
    save(composite(), arguments.out.with_stem(f"{arguments.out.stem}-composite"))


def strengths(name: str, window: tuple[str, int, int], at: Strength) -> np.ndarray:
    """Draw one degradation, weak, medium and strong, behind the clean photograph."""
    clean = cut(*window)
    tiles = [titled(clean, f"{name}: clean")]
    for strength, title in ((0.0, "weak"), (0.5, "medium"), (1.0, "strong")):
        ranges = TypeAdapter(AnyDegradation).validate_python(at(strength))
        tiles.append(titled(degraded(clean, ranges, ("gallery", name, DRAWS.get(name, 0))), title))
    return np.hstack(tiles)


def composite() -> np.ndarray:
    """Draw the eleven classes of the composite setting, and the clean photograph first."""
    clean = cut("astronaut", 10, 90, side=208)
    tiles = [titled(clean, "clean")]
    for task in load_setting("composite").tasks:
        tiles.append(titled(degraded(clean, task.degradation, ("gallery", "composite")), task.name))
    return np.vstack([np.hstack(tiles[i : i + 4]) for i in range(0, len(tiles), 4)])


def draw_setting(name: str, out: Path) -> None:
    """Draw each task of a setting on its test photographs, and print what it costs in PSNR."""
    setting = load_setting(name)
    rows = []
    for photograph in setting.synthetic.test:
        height, width = load(photograph).shape[:2]
        clean = cut(photograph, (height - 256) // 2, (width - 256) // 2, side=256)
        tiles = [titled(clean, photograph)]
        for task in setting.tasks:
            drawn = degraded(clean, task.degradation, ("gallery", photograph, task.name))
            error = np.mean((drawn.astype(float) / 255 - clean.astype(float) / 255) ** 2)
            tiles.append(titled(drawn, f"{task.name} {-10 * np.log10(error):.1f} dB"))
        rows.append(np.hstack(tiles))
    save(np.vstack(rows), out)
    training = [load(photograph) for photograph in setting.synthetic.train]
    spec = setting.synthetic.dead_leaves
    dead_leaves = [canvas(spec, training, generator("gallery", k)) for k in range(5)]
    side = spec.canvas_px
    depths = depth_maps(side, side, [generator("gallery-depth", k) for k in range(5)])
    grey = [np.rint(np.repeat(d[..., None], 3, axis=-1) * 255).astype(np.uint8) for d in depths]
    save(
        np.vstack([np.hstack(dead_leaves), np.hstack(grey)]),
        out.with_stem(f"{out.stem}-generated"),
    )


def cut(name: str, top: int, left: int, side: int = SIDE_PX) -> np.ndarray:
    """Return a window of a photograph, (side, side, 3) uint8."""
    return load(name)[top : top + side, left : left + side]


def degraded(clean: np.ndarray, ranges: AnyDegradation, key: Sequence[str | int]) -> np.ndarray:
    """Degrade (H, W, 3) uint8."""
    batch = (clean.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
    drawn = degrade(batch, ranges, [generator(*key)], "round")
    return np.rint(drawn[0].transpose(1, 2, 0) * 255).astype(np.uint8)


def titled(image: np.ndarray, title: str) -> np.ndarray:
    """Put a line of text above (H, W, 3) uint8, and a white edge next to it."""
    height, width = image.shape[:2]
    tile = Image.new("RGB", (width + 2, height + HEAD_PX), "white")
    ImageDraw.Draw(tile).text((2, 2), title, fill="black", font=ImageFont.load_default(12))
    tile.paste(Image.fromarray(image), (0, HEAD_PX))
    return np.asarray(tile)


def save(image: np.ndarray, path: Path) -> None:
    """Write (H, W, 3) uint8 in the format that the name asks for."""
    Image.fromarray(image).save(path, quality=QUALITY)
    print(f"wrote {path}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
