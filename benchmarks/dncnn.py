"""Score a published denoiser on CBSD68, which checks loading and scoring from outside.

python -m benchmarks.dncnn --weights dncnn_color_blind.pth --images CBSD68

The weights are those of the colour blind DnCNN (cszn/KAIR, model zoo, dncnn_color_blind.pth), for
which the paper's authors give 33.89, 31.23 and 27.92 dB at sigma 15, 25 and 50. As there, noise is
added to clean images in [0, 1] without clipping or rounding, and the result is clamped and rounded
to 8 bits before PSNR over all three channels. The noise is keyed by image and sigma, so the figures
are the same on every machine but for the last digits.

Measured on all 68 images: 33.880, 31.222 and 27.912 dB.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.keys import generator
from harness.data.photographs import read_image
from harness.evaluation.metrics import psnr_rgb
from methods.baselines.loaded import Loaded, load_spandrel

PUBLISHED_DB = {15: 33.89, 25: 31.23, 50: 27.92}


def denoised_psnr_db(
    denoiser: Loaded, image: NDArray[np.uint8], name: str, sigma_255: int
) -> float:
    """Return PSNR of (H, W, 3) RGB with noise keyed by ``name``, restored and rounded."""
    clean = image.astype(np.float32) / 255
    noise = generator("dncnn", name, sigma_255).standard_normal(clean.shape, dtype=np.float32)
    noisy = clean + np.float32(sigma_255 / 255) * noise
    batch = torch.from_numpy(noisy).permute(2, 0, 1)[None]
    restored = denoiser.restore(batch)[0].permute(1, 2, 0).numpy()
    return psnr_rgb(np.rint(np.clip(restored, 0, 1) * 255) / 255, clean)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True, help="folder of CBSD68's PNG files")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    denoiser = load_spandrel(arguments.weights)
    paths = sorted(arguments.images.glob("*.png"))
    print(f"{denoiser.architecture} on {len(paths)} images")
    for sigma_255, published_db in PUBLISHED_DB.items():
        values = [
            denoised_psnr_db(denoiser, read_image(path), path.stem, sigma_255) for path in paths
        ]
        mean_db = float(np.mean(values))
        print(
            f"sigma {sigma_255}: {mean_db:.3f} dB, published {published_db:.2f} dB, "
            f"difference {mean_db - published_db:+.3f} dB",
            flush=True,
        )


if __name__ == "__main__":
    main()
