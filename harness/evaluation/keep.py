"""Keeping what is restored: a test pair and its restored image as 8-bit files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.config.run_specs import ScoreSpec
from harness.data.images.arrays import Float
from harness.data.sources.samples import Pair
from harness.evaluation.protocols import eight_bits
from harness.store.image_files import image_paths, write_image
from harness.store.run_folder import RunFolder


def keep_restored(folder: RunFolder, score: ScoreSpec, pair: Pair, restored: Float) -> None:
    """Keep a test pair and its restored image, (H, W, 3) and not clamped, as far as it is missing.

    Its levels are those that the score's protocol makes. An image that is not finite has no file,
    since 8 bits hold no NaN.
    """
    keep_pair(folder, score, pair)
    path = image_paths(folder, score, pair.column, pair.image).restored
    if np.isfinite(restored).all():
        _write_new(path, restored, score.protocol.quantise)


def keep_pair(folder: RunFolder, score: ScoreSpec, pair: Pair) -> None:
    """Keep the degraded and the clean image of a test pair, as far as they are missing."""
    paths = image_paths(folder, score, pair.column, pair.image)
    _write_new(paths.degraded, pair.degraded)
    _write_new(paths.clean, pair.clean)


def _write_new(path: Path, image: Float, quantise: str = "round") -> None:
    if not path.exists():
        write_image(path, eight_bits(image, quantise))
