"""Memory and time of restoring large images in tiles, and how tiles differ from the whole image.

python -m benchmarks.tiling --run cpl-s0 --out results/runs                values of tiles
python -m benchmarks.tiling --run cpl-s0 --size 6000x4000 --memory 2       memory and time

The image is a mosaic of the embedded photographs with Gaussian noise (sigma 25 of 255).
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import harness
from harness.data.synthetic.photographs import load
from harness.evaluation.memory import MemoryBudget
from harness.evaluation.restorer import Restorer, TilingOptions, restore_pixels
from harness.execution.restorers import RestorerRequest, open_restorer
from harness.method import Prompted

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "flower")
TILES_PX = (256, 384, 512)
WHOLE = (896, 768)
_NO_LIMIT = 10**12


class PerTile(torch.nn.Module):
    """A prompted method as one whose prompts cannot be forced: each tile chooses its own."""

    def __init__(self, method: torch.nn.Module) -> None:
        super().__init__()
        self.method = method

    def restore(self, degraded: torch.Tensor, tasks: tuple[str, ...] | None = None) -> torch.Tensor:
        restored: torch.Tensor = self.method.restore(degraded, tasks)
        return restored


def mosaic(width: int, height: int) -> np.ndarray:
    """Return photographs side by side, (height, width, 3) uint8, with noise."""
    image = np.zeros((height, width, 3), np.uint8)
    number = 0
    for top in range(0, height, 300):
        for left in range(0, width, 400):
            photograph = load(PHOTOGRAPHS[number % len(PHOTOGRAPHS)])
            number += 1
            part = photograph[: min(300, height - top), : min(400, width - left)]
            image[top : top + part.shape[0], left : left + part.shape[1]] = part
    rng = np.random.default_rng(0)
    for rows in np.array_split(np.arange(height), max(1, height // 256)):
        noise = rng.normal(0, 25, (len(rows), width, 3))
        image[rows] = np.clip(image[rows] + noise, 0, 255)
    return image


def compare(restorer: Restorer) -> None:
    """Print how the values of tiles differ from those of the whole image."""
    pixels = mosaic(*WHOLE)
    options = TilingOptions(MemoryBudget(restorer.device, _NO_LIMIT))
    whole = restore_pixels(restorer, pixels, None, options, lambda _: None)
    assert whole.tiles == 1
    subjects = {"one choice of prompts": restorer}
    if isinstance(restorer.method, Prompted):
        alone = PerTile(restorer.method)  # type: ignore[arg-type]
        subjects["each tile its own"] = replace(restorer, method=alone.eval())
    print("tile  prompts  mean |tiles - whole|  largest  where tiles meet: mean  largest")
    for name, subject in subjects.items():
        for side in TILES_PX:
            cut = replace(options, tile_px=side)
            tiled = restore_pixels(subject, pixels, None, cut, lambda _: None)
            difference = np.abs(tiled.pixels.astype(int) - whole.pixels)
            seams = tiled.seams
            print(
                f"{side}  {name}  {difference.mean():.3f}  {difference.max()}  {seams.mean:.3f}  "
                f"{seams.largest:.2f}",
                flush=True,
            )


def measure(arguments: argparse.Namespace) -> None:
    """Print peak memory and time of one large image, in this process."""
    width, height = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "large.png"
        Image.fromarray(mosaic(width, height)).save(source, compress_level=1)
        began = time.monotonic()
        files = harness.restore(
            source,
            Path(folder) / "out",
            run=arguments.run,
            out=arguments.out,
            memory_gb=arguments.memory,
            threads=arguments.threads,
        )
        wall_s = time.monotonic() - began
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{width}x{height}: {wall_s:.0f} s, peak {peak_bytes / 1e9:.2f} GB")
    for file in files:
        print(file.state, file.reason, *file.notes, sep="\n  ")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True)
    parser.add_argument("--out", type=Path, default=Path("results/runs"))
    parser.add_argument("--size", help="WIDTHxHEIGHT: measures memory and time instead")
    parser.add_argument("--memory", type=float)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.size:
        measure(arguments)
    else:
        compare(open_restorer(RestorerRequest(run=arguments.run, out=arguments.out)))


if __name__ == "__main__":
    main()
