"""How test and training pairs are made from images; never how they are scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.config.spec import Name, Spec

NoiseRounding = Literal["truncate", "round", "none", "unclipped"]
"""How noise meets the range of 8-bit images: cut to it and then truncated, rounded or left as
floats, or not even cut, as denoisers of additive noise alone are scored (KAIR)."""


class Preprocessing(Spec):
    """How a pair is made; never how it is scored.

    Attributes:
        id: names the rule; results carry it, and noise is drawn by it.
        crop_multiple: images are cut to multiples of this about their centre; 1 leaves them whole.
        noise_rounding: how noisy images become 8-bit: cut to the range and truncated (as the
            published three-task code casts), rounded, or left as floats, or not even cut. Other
            degradations are rounded, as images saved to a file are.
        noise_stream: where noise on test images comes from: ``keyed`` by image and level, or
            ``published``, one NumPy stream seeded with 0 that passes through the folder once per
            level (:mod:`harness.data.on_disk.published_noise`), for images on disk alone.
    """

    id: Name
    crop_multiple: int = Field(ge=1)
    noise_rounding: NoiseRounding
    noise_stream: Literal["keyed", "published"] = "keyed"


def centred_id(identifier: str, side_px: int) -> str:
    """Return the id of a preprocessing whose images are cut to their centre.

    Folders of clean images have it as the id itself, since their noise is drawn by it.
    """
    ending = f"-centre-{side_px}"
    return identifier if identifier.endswith(ending) else identifier + ending


def streamed_id(identifier: str, stream: str) -> str:
    """Return the id of a preprocessing whose noise comes from another stream by request."""
    return f"{identifier}-{stream}-stream"
