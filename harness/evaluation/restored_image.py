"""An image as it was restored, and what is said of its tiles."""

from __future__ import annotations

from dataclasses import dataclass

from harness.data.images.image_file import Pixels
from harness.evaluation.prompt_choice import PromptChoice
from harness.evaluation.tiling import Seams, Tiling

SEAM_LEVELS = 0.1
"""Grey levels below which tiles count as one image."""


@dataclass(frozen=True)
class RestoredImage:
    """What was restored, and how.

    Attributes:
        pixels: (H, W, 3), of the kind of the degraded image.
        tiles: how many tiles it was restored in; 1 for the whole image.
        tiling: how it was cut; None for the whole image.
        seams: how much tiles differed where they met.
        choice: its prompts; None for a method whose prompts are not known.
        is_cut_smaller: whether larger tiles, or the whole, took more memory than there is.
    """

    pixels: Pixels
    tiles: int
    tiling: Tiling | None
    seams: Seams
    choice: PromptChoice | None
    is_cut_smaller: bool = False


def tiles_sentence(restored: RestoredImage) -> str:
    """Return a sentence on the tiles of an image, empty if it was restored whole."""
    tiling = restored.tiling
    if tiling is None:
        return ""
    seams = restored.seams
    side = f"{tiling.width_px}x{tiling.height_px}"
    text = (
        f"{restored.tiles} tiles of up to {side} pixels, which differ by {seams.mean:.3f} grey "
        f"levels on average and {seams.largest:.2f} at most where they meet, before blending"
    )
    if restored.is_cut_smaller:
        text += " (larger ones took more memory than there is)"
    if seams.largest < SEAM_LEVELS:
        return text
    return (
        f"{text}: the network sees more than a tile (global pooling, or attention over all "
        "pixels), so values depend on how the image is cut; larger tiles (--memory) differ less"
    )
