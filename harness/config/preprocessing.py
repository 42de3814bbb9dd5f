"""How test and training pairs are made from images; never how they are scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.config.spec import Spec

NoiseRounding = Literal["truncate", "round", "none", "unclipped"]
"""How noise meets the range of 8-bit images: cut to it and then truncated, rounded or left as
floats, or not even cut, as denoisers of additive noise alone are scored (KAIR)."""


class Preprocessing(Spec):
    """How a pair is made; never how it is scored.

    ``noise_rounding`` is how noisy images become 8-bit: the published three-task code casts,
    which truncates. Haze and rain are rounded, as images saved to a file are.

    ``noise_stream`` says where noise on test images comes from: ``keyed`` by image and level, or
    ``published``, one NumPy stream seeded with 0 that passes through the folder once per level
    (:mod:`harness.data.on_disk.published_noise`). The second exists for images on disk alone.
    """

    id: str
    crop_multiple: int = Field(ge=1)
    noise_rounding: NoiseRounding
    noise_stream: Literal["keyed", "published"] = "keyed"
