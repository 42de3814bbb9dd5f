"""Score a published denoiser on CBSD68, a check of loading and scoring by published values.

python -m benchmarks.dncnn --weights dncnn_color_blind.pth --images CBSD68
python -m benchmarks.dncnn --weights dncnn_color_blind.pth --images CBSD68 --every 4 --roundings

The weights are those of the colour blind DnCNN (cszn/KAIR, model zoo, dncnn_color_blind.pth), for
which the paper's authors give 33.89, 31.23 and 27.92 dB at sigma 15, 25 and 50. As there, noise is
added to clean images in [0, 1] without clipping or rounding, and the result is clamped and rounded
to 8 bits before PSNR over all three channels. With ``--roundings`` the same noise is also scored as
codes for restoration make it: cut to [0, 1], and then rounded or truncated to 8 bits. Noise is
keyed by image and sigma, so the figures are the same on every machine but for the last digits.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from harness.config.preprocessing import NoiseRounding
from harness.config.seeding import generator
from harness.data.images.read import read_image
from harness.data.synthetic.degradations.noise import Noise, add_noise
from harness.evaluation.metrics.psnr import psnr_rgb
from harness.method import WeightsFile
from harness.training.pretrained import read_weights
from methods.baselines.spandrel_checkpoint.network import SpandrelNetwork, load_spandrel

PUBLISHED_DB = {15: 33.89, 25: 31.23, 50: 27.92}


def denoised_psnr_db(
    denoiser: SpandrelNetwork,
    image: NDArray[np.uint8],
    name: str,
    sigma_255: int,
    rounding: NoiseRounding = "unclipped",
) -> float:
    """Return PSNR of (H, W, 3) RGB with noise keyed by ``name``, restored and rounded."""
    clean = image.astype(np.float32) / np.float32(255)
    level = Noise(kind="noise", sigma_255=(sigma_255, sigma_255))
    batch = np.ascontiguousarray(clean.transpose(2, 0, 1)[None])
    noisy = add_noise(batch, level, [generator("dncnn", name, sigma_255)], rounding)
    restored = denoiser.restore(torch.from_numpy(noisy))[0].permute(1, 2, 0).numpy()
    return psnr_rgb(np.rint(np.clip(restored, 0, 1) * 255) / 255, clean)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True, help="folder of CBSD68's PNG files")
    parser.add_argument("--every", type=int, default=1, help="score every so many-th image")
    parser.add_argument("--roundings", action="store_true", help="score all roundings of noise")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    denoiser = load_spandrel(WeightsFile(arguments.weights), read_weights)
    paths = sorted(arguments.images.glob("*.png"))[:: arguments.every]
    print(f"{denoiser.architecture} on {len(paths)} images")
    roundings = get_args(NoiseRounding) if arguments.roundings else ("unclipped",)
    for sigma_255, published_db in PUBLISHED_DB.items():
        for rounding in roundings:
            values = [
                denoised_psnr_db(denoiser, read_image(path), path.stem, sigma_255, rounding)
                for path in paths
            ]
            mean_db = float(np.mean(values))
            print(
                f"sigma {sigma_255}, noise {rounding}: {mean_db:.3f} dB, published "
                f"{published_db:.2f} dB, difference {mean_db - published_db:+.3f} dB",
                flush=True,
            )


if __name__ == "__main__":
    main()
