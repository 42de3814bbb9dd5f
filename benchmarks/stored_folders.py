"""Output folders of made up runs, with rows as this project writes them."""

from __future__ import annotations

import json
import random
import zlib
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("dehaze", "derain", "denoise25")
METRICS = ("psnr_rgb", "ssim_rgb_uniform7")
SETTING = "three-task"
PREPROCESSING = "crop16-uint8"
PROTOCOL = "rgb-float-uniform7"
DATA_SET = "synthetic"
SEEDS = 10
"""Runs of each method."""

_CLEAN_IMAGES = 500


@dataclass(frozen=True)
class Shape:
    """How many runs a folder has, and how many rows each."""

    runs: int
    rows: int

    @property
    def total(self) -> int:
        """All rows."""
        return self.runs * self.rows

    @property
    def name(self) -> str:
        """As tables say it."""
        return f"{self.runs:,} x {self.rows:,}"


def images(shape: Shape) -> dict[str, list[str]]:
    """Return the images of each column; ``#`` numbers the degradations of a clean one."""
    of_column = -(-shape.rows // (len(COLUMNS) * len(METRICS)))
    names = [f"image{i % _CLEAN_IMAGES:04d}#{i // _CLEAN_IMAGES}" for i in range(of_column)]
    return dict.fromkeys(COLUMNS, names)


def methods(shape: Shape) -> list[str]:
    """Return the ids of the methods."""
    return [f"cpl:top_k={i + 1}" for i in range(-(-shape.runs // SEEDS))]


def write_folder(out: Path, shape: Shape) -> None:
    """Write the runs of a folder."""
    names = images(shape)
    for number in range(shape.runs):
        _write_run(out, number, shape, names)


def _write_run(out: Path, number: int, shape: Shape, names: dict[str, list[str]]) -> None:
    method, seed = methods(shape)[number // SEEDS], number % SEEDS
    rng = random.Random(number)
    weights, score = f"{rng.getrandbits(64):016x}", f"{rng.getrandbits(64):016x}"
    folder = out / f"cpl_top_k={number // SEEDS + 1}-s{seed}-{weights}"
    folder.mkdir(parents=True)
    spec = {"method": "cpl", "seed": seed, "options": {"top_k": number // SEEDS + 1}}
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "provenance.json").write_text(json.dumps({"wall_s": 60.0}))
    (folder / "weights.safetensors").write_bytes(b"")
    shared = {
        "data_set": DATA_SET,
        "method": method,
        "origin": "measured",
        "preprocessing": PREPROCESSING,
        "protocol": PROTOCOL,
        "score": score,
        "seed": seed,
        "setting": SETTING,
        "weights": weights,
    }
    left = shape.rows
    with (folder / "results.jsonl").open("w") as file:
        for column in COLUMNS:
            for image in names[column]:
                for metric in METRICS[:left]:
                    value = rng.gauss(30, 3) if metric == METRICS[0] else rng.random()
                    row = {"column": column, "image": image, "metric": metric, "value": value}
                    file.write(_line({**shared, **row}))
                    left -= 1


def _line(row: dict[str, object]) -> str:
    text = json.dumps(row, sort_keys=True)
    return json.dumps({**row, "crc32": f"{zlib.crc32(text.encode()):08x}"}, sort_keys=True) + "\n"
