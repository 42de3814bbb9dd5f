"""Draw what the degradations look like: python benchmarks/gallery.py --out gallery.png"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data.cards import cards_folder, load_setting
from harness.data.degradations import degrade
from harness.data.degradations.depth import depth_maps
from harness.data.keys import generator
from harness.data.leaves import canvas
from harness.data.photographs import load

SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", default="three-task")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    cards, setting = cards_folder(), load_setting(arguments.setting)
    rows = []
    for name in setting.twin.test:
        photograph = load(cards, name)
        top, left = ((n - SIDE) // 2 for n in photograph.shape[:2])
        clean = photograph[top : top + SIDE, left : left + SIDE].astype(np.float32) / 255
        batch = clean.transpose(2, 0, 1)[None]
        pictures = [clean]
        for task in setting.tasks:
            degraded = degrade(
                batch, task.degradation, [generator("gallery", name, task.name)], "truncate"
            )
            pictures.append(degraded[0].transpose(1, 2, 0))
            error = np.mean((pictures[-1] - clean) ** 2)
            print(f"{name:>12} {task.name:>10} {-10 * np.log10(error):6.2f} dB")
        rows.append(np.hstack(pictures))
    save(np.vstack(rows), arguments.out)

    training = [load(cards, name) for name in setting.twin.train]
    leaves = setting.twin.leaves
    drawn = [canvas(leaves, training, generator("gallery", k)) / 255 for k in range(5)]
    side = leaves.canvas_px
    depths = depth_maps(side, side, [generator("gallery-depth", k) for k in range(5)])
    grey = [np.repeat(depth[..., None], 3, axis=-1) for depth in depths]
    made = arguments.out.with_stem(arguments.out.stem + "-generated")
    save(np.vstack([np.hstack(drawn), np.hstack(grey)]), made)


def save(picture: np.ndarray, path: Path) -> None:
    """Write (H, W, 3) in [0, 1] as 8-bit PNG."""
    Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(path)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
