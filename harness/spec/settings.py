"""Cards of settings: tasks, columns, where images come from, how they are made and scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from harness.spec.base import Range, Spec
from harness.spec.degradations import DegradationRange


class Task(Spec):
    """What a prompt answers to; ``family`` groups tasks of one kind of degradation."""

    name: str
    family: str
    degradation: DegradationRange
    share: float = Field(default=1, gt=0)


class Column(Spec):
    """One column of the table: test images of one task, ``draws`` degradations of each."""

    name: str
    task: str
    label: str
    latex_label: str
    group: str
    draws: int = Field(ge=1)


class LeavesSpec(Spec):
    """Dead-leaves images: occluding shapes whose radii follow ``r ** -exponent``.

    ``radius_px`` bounds the radii, ``canvas_px`` is the side of one generated image and
    ``crops_per_canvas`` says how many training samples share it.
    """

    canvas_px: int = Field(ge=32)
    crops_per_canvas: int = Field(ge=1)
    radius_px: Range
    exponent: float
    textured: float = Field(ge=0, le=1)


class Twin(Spec):
    """The synthetic twin: photographs per split, by their names in the catalogue."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    leaves_share: float = Field(ge=0, le=1)
    leaves: LeavesSpec


NoiseRounding = Literal["truncate", "round", "none", "unclipped"]
"""How noise meets the range of 8-bit images: cut to it and then truncated, rounded or left as
floats, or not even cut, as denoisers of additive noise alone are scored (KAIR)."""


class Preparation(Spec):
    """How a pair is made; never how it is scored.

    ``noise_rounding`` is how noisy images become 8-bit: the published three-task code casts,
    which truncates. Haze and rain are rounded, as images saved to a file are.

    ``noise_stream`` says where noise on test images comes from: ``keyed`` by image and level, or
    ``published``, one NumPy stream seeded with 0 that passes through the folder once per level
    (:mod:`harness.data.published_noise`). The second exists for images on disk alone.
    """

    id: str
    crop_multiple: int = Field(ge=1)
    noise_rounding: NoiseRounding
    noise_stream: Literal["keyed", "published"] = "keyed"


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


class RealColumn(Spec):
    """The data set on disk that fills a column, or one group of its folders."""

    column: str
    set: str
    group: str | None = None


def _check_columns(
    tasks: tuple[Task, ...], columns: tuple[Column, ...], reals: tuple[RealColumn, ...]
) -> None:
    """Raise :class:`ValueError` if a name stands twice, or one names nothing."""
    names = [task.name for task in tasks]
    for kind, found in (("task", names), ("column", [c.name for c in columns])):
        if len(set(found)) != len(found):
            raise ValueError(f"a {kind} name stands twice")
    for column in columns:
        if column.task not in names:
            raise ValueError(
                f"column '{column.name}' names task '{column.task}', which is not in the card"
            )
    for real in reals:
        if real.column not in [column.name for column in columns]:
            raise ValueError(f"'real' names column '{real.column}', which is not in the card")


class TrainingSource(Spec):
    """A data set on disk that a family of tasks is trained on.

    Its images stand ``repeat`` times in the published lists; ``group`` takes that group alone,
    where a set's folders have several.
    """

    family: str
    set: str
    repeat: int = Field(default=1, ge=1)
    group: str | None = None


class Setting(Spec):
    """One benchmark setting as its card describes it.

    ``sequence`` orders the families of tasks for sequential learning; without it they come in
    the order of the tasks.
    """

    name: str
    version: int
    title: str
    sources: tuple[str, ...]
    average: Literal["mean-of-columns"]
    tasks: tuple[Task, ...]
    sequence: tuple[str, ...] = ()
    columns: tuple[Column, ...]
    twin: Twin
    real: tuple[RealColumn, ...] = ()
    training: tuple[TrainingSource, ...] = ()
    preparation: Preparation
    protocol: Protocol

    @model_validator(mode="after")
    def _consistent(self) -> Setting:
        _check_columns(self.tasks, self.columns, self.real)
        families = {task.family for task in self.tasks}
        for source in self.training:
            if source.family not in families:
                raise ValueError(
                    f"'training' names family '{source.family}', which no task of the card has"
                )
        if self.sequence and (
            set(self.sequence) != families or len(self.sequence) != len(families)
        ):
            raise ValueError(
                f"'sequence' must name each family once: {', '.join(sorted(families))}"
            )
        split = (*self.twin.train, *self.twin.validation, *self.twin.test)
        if len(set(split)) != len(split):
            raise ValueError("a photograph stands in two splits or twice in one")
        return self

    @property
    def families(self) -> tuple[str, ...]:
        """Families of tasks in the order in which sequential learning adds them."""
        return self.sequence or tuple(dict.fromkeys(task.family for task in self.tasks))

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks in the order of the card: the order of classifier outputs."""
        return tuple(task.name for task in self.tasks)

    def task(self, name: str) -> Task:
        """Return the task called ``name``."""
        return next(task for task in self.tasks if task.name == name)


class OutsideSet(Spec):
    """Test images outside a setting: other degradations, other strengths, other photographs.

    Methods are trained on a setting as ever and scored on these columns instead of its own, under
    its preparation and protocol. A task that has a name of the setting's tasks counts as that one,
    which methods that are told the true task are then told. ``twin`` says whether the test
    photographs of the setting's twin can be degraded so, or real images alone make sense.
    """

    name: str
    version: int
    title: str
    sources: tuple[str, ...]
    tasks: tuple[Task, ...]
    columns: tuple[Column, ...]
    real: tuple[RealColumn, ...] = ()
    twin: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> OutsideSet:
        _check_columns(self.tasks, self.columns, self.real)
        return self
