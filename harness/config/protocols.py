"""What is done to a restored and a clean image before metrics compare them."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from harness.config.spec import Name, Spec


class Resize(Spec):
    """Both images are resized before scoring: the long side to at most ``long_side_px``.

    Pillow's Lanczos filter on 8-bit values (WeatherDiffusion, datasets/allweather.py).

    Attributes:
        long_side_px: the long side after resizing, at most.
        multiple: each side is then rounded up to a multiple of this.
    """

    long_side_px: int = Field(ge=1)
    multiple: int = Field(ge=1)


class Protocol(Spec):
    """What is done to a restored image and the clean one before metrics compare them.

    Values of images that were restored in tiles are not quite those of whole images, so tiles are
    part of the protocol too, and of its id.

    The rules are applied in the order resize, crop, clamp, quantise, border. Colour space, window
    and peak belong to a metric's id, so that one protocol can hold metrics of several.

    Attributes:
        id: names the rule; results carry it, so no other rule may have it.
        metrics: ids of the metrics that tables show.
        resize: both images are resized; None leaves their size.
        crop_multiple: both are cut to multiples of this; 1 leaves them whole.
        crop_at: the part of the image that is left by the cut.
        clamp: whether the restored image is clamped to [0, 1].
        quantise: how the restored image becomes 8-bit: not at all, rounded as most code saves it,
            or truncated by a cast as some does, which is darker by half a grey level; ``true``
            and ``false`` stand for round and none.
        border_px: pixels that are removed on each side of both images.
        tile_px: side of the tiles in which images of more than two megapixels are restored; None
            restores all images whole.
    """

    added_later: ClassVar = ("tile_px",)

    id: Name
    metrics: tuple[str, ...] = Field(min_length=1)
    resize: Resize | None = None
    crop_multiple: int = Field(default=1, ge=1)
    crop_at: Literal["centre", "top-left", "bottom-right"] = "centre"
    clamp: bool = True
    quantise: Literal["none", "round", "truncate"] = "none"
    border_px: int = Field(default=0, ge=0)
    tile_px: int | None = Field(default=None, ge=256)

    @field_validator("quantise", mode="before")
    @classmethod
    def _in_words(cls, value: object) -> object:
        if isinstance(value, bool):
            return "round" if value else "none"
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Protocol:
        if self.quantise != "none" and not self.clamp:
            raise ValueError("8-bit values are clamped; set clamp to true or quantise to none")
        return self


class NamedProtocol(Spec):
    """A protocol as published code applies it; a file that ships is called ``name``.yaml.

    Attributes:
        name: what flags and settings call it. The protocol's id names the rule, which files of
            several names may share.
        title: one line for a person.
        family: the metric family of docs/protocols.md, or empty.
        sources: repositories and files that it follows.
        notes: what the published evaluation does besides.
        protocol: the rule itself.
    """

    name: Name
    title: str = ""
    family: str = ""
    sources: tuple[str, ...] = ()
    notes: str = ""
    protocol: Protocol
