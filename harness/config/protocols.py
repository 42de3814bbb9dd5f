"""What is done to a restored and a clean image before metrics compare them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from harness.config.spec import Spec


class Resize(Spec):
    """Both images are resized before scoring: the long side to at most ``long_side_px``.

    Then each side is rounded up to a multiple of ``multiple``; Pillow's Lanczos filter on 8-bit
    values (WeatherDiffusion, datasets/allweather.py).
    """

    long_side_px: int = Field(ge=1)
    multiple: int = Field(ge=1)


class Protocol(Spec):
    """What is done to a restored image and the clean one before metrics compare them.

    In this order: ``resize``; both are cut to multiples of ``crop_multiple``, and ``crop_at``
    names the part that is kept; the restored one is clamped to [0, 1] (``clamp``) and made 8-bit
    (``quantise``; the words ``true`` and ``false`` stand for round and none); ``border_px`` are
    removed on each side of both. Colour space, window and peak belong to a metric's id, so that
    one protocol can hold metrics of several.
    """

    id: str
    metrics: tuple[str, ...]
    resize: Resize | None = None
    crop_multiple: int = Field(default=1, ge=1)
    crop_at: Literal["centre", "top-left", "bottom-right"] = "centre"
    clamp: bool = True
    quantise: Literal["none", "round", "truncate"] = "none"
    border_px: int = Field(default=0, ge=0)

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
    """A protocol as published code applies it; its file is called ``name``.yaml.

    Attributes:
        name: what flags and settings call it. The protocol's id names the rule, which files of
            several names may share.
        title: one line to be shown.
        family: the metric family of docs/protocols.md.
        sources: repositories and files that it follows.
        notes: what the published evaluation does besides.
        protocol: the rule itself.
    """

    name: str
    title: str
    family: str
    sources: tuple[str, ...]
    notes: str = ""
    protocol: Protocol
