"""Files to read: rainy and clean PNG pairs as large as CBSD68's, cut from embedded photographs."""

from __future__ import annotations

from pathlib import Path

LONG_PX, SHORT_PX = 481, 321
"""Sides of the images of CBSD68."""


def write_pairs(folder: Path, count: int) -> None:
    """Write ``count`` pairs, two thirds of them upright, as ``NNN-degraded`` and ``NNN-clean``."""
    import numpy as np
    from PIL import Image

    from harness.config.files import load_setting
    from harness.data.synthetic.photographs import load

    data = load_setting("three-task").synthetic
    assert data is not None
    names = [*data.train, *data.validation, *data.test]
    rng = np.random.default_rng(0)
    written = 0
    while written < count:
        image = load(names[int(rng.integers(len(names)))])
        height, width = (SHORT_PX, LONG_PX) if written % 3 else (LONG_PX, SHORT_PX)
        if image.shape[0] < height or image.shape[1] < width:
            continue
        top = int(rng.integers(image.shape[0] - height + 1))
        left = int(rng.integers(image.shape[1] - width + 1))
        clean = image[top : top + height, left : left + width]
        streaks = (rng.random(clean.shape[:2]) < 0.02)[..., None] * 90
        degraded = np.minimum(clean.astype(np.int64) + streaks, 255).astype(np.uint8)
        for kind, pixels in (("clean", clean), ("degraded", degraded)):
            Image.fromarray(pixels).save(folder / f"{written:03}-{kind}.png")
        written += 1


def pairs_in(folder: str) -> list[tuple[Path, Path]]:
    """Return degraded and clean files in their order."""
    found = []
    for clean in sorted(Path(folder).glob("*-clean.png")):
        found.append((clean.with_name(clean.name.replace("-clean", "-degraded")), clean))
    return found


def clean_files(folder: str) -> list[Path]:
    """Return the clean files in their order."""
    return [clean for _, clean in pairs_in(folder)]
