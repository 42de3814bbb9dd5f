"""Typed, frozen specs, their canonical JSON and its hash.

Everything that changes a number is a field of a spec, and the hash of a spec is the
identity of what it describes: of trained weights (:class:`TrainSpec`) or of a scored
test (:class:`ScoreSpec`). YAML and flags are parsed into these classes once, strictly;
nothing inside the program passes dictionaries of options along.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from harness.errors import UsageError, did_you_mean

Range = tuple[float, float]
"""Closed interval a parameter is drawn from uniformly; equal ends mean a fixed value."""


class Spec(BaseModel):
    """Base of all specs: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def canonical_json(spec: Spec) -> str:
    """Return the one JSON text of ``spec``: sorted keys, no spaces, every default written."""
    return json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def spec_hash(spec: Spec) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()[:16]


# --- degradations -----------------------------------------------------------------


class NoiseRange(Spec):
    """White Gaussian noise; ``sigma_255`` in grey levels of 8-bit images."""

    kind: Literal["noise"]
    sigma_255: Range


class HazeRange(Spec):
    """Atmospheric scattering: ``I = J t + A (1 - t)``, ``t = exp(-beta d)``, ``d`` in [0, 1]."""

    kind: Literal["haze"]
    beta: Range
    airlight: Range


class RainRange(Spec):
    """Additive streaks: seeds per pixel, length and width in pixels, angle from vertical."""

    kind: Literal["rain"]
    density: Range
    length_px: Range
    width_px: Range
    angle_deg: Range
    strength: Range


class GaussianBlurRange(Spec):
    """Isotropic Gaussian of ``sigma_px``, cut to a square whose side is one of ``kernel_px``."""

    kind: Literal["gaussian-blur"]
    sigma_px: Range
    kernel_px: tuple[Annotated[int, Field(ge=3)], ...] = Field(min_length=1)

    @field_validator("kernel_px")
    @classmethod
    def _odd(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        if any(side % 2 == 0 for side in sides):
            raise ValueError("a kernel has a centre, so its side must be odd")
        return sides


class DefocusRange(Spec):
    """A lens out of focus: a disc of ``radius_px``, averaged in linear light."""

    kind: Literal["defocus"]
    radius_px: Range


class MotionBlurRange(Spec):
    """Camera shake: how far the image moves during the exposure, averaged in linear light.

    ``length_px`` is the length of the path, ``bend_deg`` how much its direction turns from end
    to end, ``roll_deg`` how far the camera turns about its axis meanwhile.
    """

    kind: Literal["motion-blur"]
    length_px: Range
    bend_deg: Range
    roll_deg: Range


class LowLightRange(Spec):
    """A dark photograph: ``J ** gamma`` on display values, ``exposure`` on linear light, noise.

    ``illumination_px`` above 0 applies gamma to the light that falls on a neighbourhood of that
    radius (Retinex), not to each pixel. White at full exposure gives ``white_electrons``, which
    arrive as Poisson's law says and are read with ``read_electrons`` of noise; without
    ``white_electrons`` a sensor adds nothing. ``noise_255`` is noise in grey levels of the result.
    """

    kind: Literal["low-light"]
    gamma: Range = (1.0, 1.0)
    exposure: Range = (1.0, 1.0)
    illumination_px: int = Field(default=0, ge=0)
    white_electrons: Range | None = None
    read_electrons: Range = (0.0, 0.0)
    noise_255: Range = (0.0, 0.0)


class SnowRange(Spec):
    """Semi-transparent flakes: ``density`` per pixel, ``diameter_px`` from small to large.

    Diameters follow ``d ** -3``, as flakes at all distances do. A flake covers up to ``opacity``
    and moves up to ``motion`` diameters, at ``angle_deg`` from the vertical; ``veil`` is the share
    of white light that snow too far to be seen adds.
    """

    kind: Literal["snow"]
    density: Range
    diameter_px: Range
    opacity: Range
    motion: Range
    angle_deg: Range
    veil: Range


class RaindropsRange(Spec):
    """Drops on a lens or pane: ``coverage`` of the image, radii in pixels.

    A drop shows the scene upside down, ``shrinking`` times smaller, and ``blur_px`` (a standard
    deviation) out of focus.
    """

    kind: Literal["raindrops"]
    coverage: Range
    radius_px: Range
    shrinking: Range
    blur_px: Range


class JpegRange(Spec):
    """JPEG of an integer ``quality`` in libjpeg's scale from 1 to 100, 4:2:0 chroma."""

    kind: Literal["jpeg"]
    quality: Range


class ResampleRange(Spec):
    """Bicubic down by ``factor`` and bicubic up again to the same size.

    ``point`` takes samples without low-pass filter, as torch's interpolation does (a = -0.75);
    ``antialiased`` widens the kernel by the factor, as MATLAB's imresize does (a = -0.5).
    """

    kind: Literal["resample"]
    factor: int = Field(ge=2)
    kernel: Literal["point", "antialiased"]


SingleRange = Annotated[
    NoiseRange
    | HazeRange
    | RainRange
    | GaussianBlurRange
    | DefocusRange
    | MotionBlurRange
    | LowLightRange
    | SnowRange
    | RaindropsRange
    | JpegRange
    | ResampleRange,
    Field(discriminator="kind"),
]


class ComposedRange(Spec):
    """Degradations one after another, in the order of ``parts``; 8-bit only at the end."""

    kind: Literal["composed"]
    parts: tuple[SingleRange, ...] = Field(min_length=1)


DegradationRange = Annotated[SingleRange | ComposedRange, Field(discriminator="kind")]


# --- setting cards ----------------------------------------------------------------


class Task(Spec):
    """What a prompt answers to; ``family`` groups tasks of one kind of degradation."""

    name: str
    family: str
    degradation: DegradationRange
    share: float = Field(gt=0)


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
        tasks = [task.name for task in self.tasks]
        for kind, names in (("task", tasks), ("column", [c.name for c in self.columns])):
            if len(set(names)) != len(names):
                raise ValueError(f"a {kind} name stands twice")
        for column in self.columns:
            if column.task not in tasks:
                raise ValueError(
                    f"column '{column.name}' names task '{column.task}', which is not in the card"
                )
        for real in self.real:
            if real.column not in [column.name for column in self.columns]:
                raise ValueError(f"'real' names column '{real.column}', which is not in the card")
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


# --- recipes ----------------------------------------------------------------------


class Optimisation(Spec):
    """Everything of a training run that changes its numbers, apart from data and method.

    ``batch`` is global; ``micro_batch`` splits it to save memory. The learning rate at
    step ``s`` is held for ``lr_hold_steps`` steps: with ``u = s // hold`` it rises linearly,
    ``lr * u / (W - 1)`` for the first ``W = warmup_steps / hold`` units, then follows a
    cosine to ``lr_min`` at ``horizon_steps`` (which may lie beyond the last step). Before the
    cosine the rate may stay at ``lr`` for ``lr_constant_steps``; with ``lr_restart_steps`` there is
    one cosine after another of that length instead, as in BasicSR.

    What is in ``_LATER`` came after the first cells were stored, and is left out of their hash
    where it has its default.
    """

    _LATER: ClassVar = ("lr_constant_steps", "lr_restart_steps")

    steps: int = Field(ge=1)
    batch: int = Field(ge=1)
    micro_batch: int | None = Field(default=None, ge=1)
    patch_px: int = Field(ge=16)
    lr: float = Field(gt=0)
    lr_min: float = Field(ge=0)
    warmup_steps: int = Field(ge=0)
    horizon_steps: int = Field(ge=1)
    lr_hold_steps: int = Field(default=1, ge=1)
    betas: tuple[float, float]
    weight_decay: float = Field(ge=0)
    grad_clip_norm: float | None = Field(default=None, gt=0)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    augmentation: Literal["dihedral", "dihedral-without-identity"]
    task_sampling: Literal["balanced", "shares"]
    validate_every_steps: int = Field(ge=1)
    scored_checkpoint: Literal["last", "best-on-validation"]
    lr_constant_steps: int = Field(default=0, ge=0)
    lr_restart_steps: int | None = Field(default=None, ge=1)

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, serialise: SerializerFunctionWrapHandler) -> Any:
        values = serialise(self)
        fields = type(self).model_fields
        return {
            key: value
            for key, value in values.items()
            if key not in self._LATER or value != fields[key].default
        }

    @model_validator(mode="after")
    def _consistent(self) -> Optimisation:
        if self.lr_restart_steps is not None and (self.warmup_steps or self.lr_constant_steps):
            raise ValueError(
                "lr_restart_steps goes with neither warmup_steps nor lr_constant_steps; set both "
                "to 0"
            )
        if self.micro_batch is not None and self.batch % self.micro_batch:
            raise ValueError(
                f"batch {self.batch} is not a multiple of micro_batch {self.micro_batch}"
            )
        if self.patch_px % 16:
            raise ValueError(f"patch_px {self.patch_px} is not a multiple of 16")
        return self


class TestAmount(Spec):
    """How much of the twin's test set is scored: all of it unless a recipe is for trials."""

    __test__ = False  # pytest would take the name for a test class

    photographs: int | None = Field(default=None, ge=1)
    centre_px: int | None = Field(default=None, ge=32)
    draws: int | None = Field(default=None, ge=1)


class Operation(Spec):
    """What changes no number: how often to save, and what a step is expected to take."""

    checkpoint_every_steps: int = Field(ge=1)
    expected_step_s: float = Field(gt=0)
    expected_on: str


class Recipe(Spec):
    """A named way to train and test: network size, optimisation and amount of testing."""

    name: str
    summary: str
    size: str
    train: Optimisation
    auxiliary: Optimisation
    test: TestAmount
    operation: Operation


# --- what is trained, what is scored ------------------------------------------------


class Photograph(Spec):
    """One photograph as it is used: name in the catalogue and hash of the file's bytes."""

    name: str
    sha256: str


class TrainingData(Spec):
    """What the training stream is made of."""

    tasks: tuple[Task, ...]
    train: tuple[Photograph, ...]
    validation: tuple[Photograph, ...]
    leaves_share: float
    leaves: LeavesSpec
    preparation: Preparation
    generator_version: int


class TrainingFiles(Spec):
    """Images of a set on disk that a family of tasks is trained on.

    ``sha256`` is a hash of all their names and bytes, wherever they lie; ``held_out`` are for
    validation and not trained on.
    """

    family: str
    set: str
    group: str | None
    layout: str
    repeat: int
    count: int
    held_out: tuple[str, ...]
    sha256: str


class RealTrainingData(Spec):
    """What the training stream is made of where images lie on disk.

    ``tasks`` are those with something to train on. Noise is added to clean images; all other
    degradations are those of the files.
    """

    tasks: tuple[Task, ...]
    files: tuple[TrainingFiles, ...]
    preparation: Preparation
    generator_version: int


class Stage(Spec):
    """A part of a training: optimiser and learning rate start anew with it, weights go on.

    ``name`` is what the method knows it by, empty if it has one stage; ``tasks`` are sampled.
    """

    name: str
    steps: int = Field(ge=1)
    warmup_steps: int = Field(ge=0)
    horizon_steps: int = Field(ge=1)
    tasks: tuple[str, ...] = Field(min_length=1)


class TrainSpec(Spec):
    """All that determines weights; its hash is their id.

    Weights of this project follow from data, optimisation and seed; weights from elsewhere
    (``source_sha256``, the hash of their file) from nothing else, and ``train`` is None.
    ``tasks`` are in the order of the setting's card, which is that of classifiers' outputs.
    """

    method: str
    method_version: int
    options: dict[str, JsonValue]
    tasks: tuple[str, ...]
    data: TrainingData | RealTrainingData | None
    train: Optimisation | None
    stages: tuple[Stage, ...]
    seed: int
    requires: dict[str, str]
    source_sha256: str | None = None


@dataclass(frozen=True)
class PlacedStage:
    """A stage, its number from 0 and its first step in the whole training."""

    stage: Stage
    number: int
    first_step: int


def stage_at(stages: Sequence[Stage], step: int) -> PlacedStage:
    """Return the stage that ``step`` (from 0) belongs to."""
    first = 0
    for number, stage in enumerate(stages):
        if step < first + stage.steps:
            return PlacedStage(stage, number, first)
        first += stage.steps
    raise ValueError(f"step {step} lies beyond the {first} steps of all stages")


class TestFiles(Spec):
    """A column's images on disk: names, and a hash of all their bytes."""

    __test__ = False

    column: str
    set: str
    layout: str
    images: tuple[str, ...]
    sha256: str


class TestSet(Spec):
    """The images that are scored and how each pair is made.

    Either photographs of the twin, or ``files`` on disk.
    """

    __test__ = False

    setting: str
    setting_version: int
    columns: tuple[Column, ...]
    tasks: tuple[Task, ...]
    photographs: tuple[Photograph, ...]
    files: tuple[TestFiles, ...] = ()
    centre_px: int | None
    preparation: Preparation
    generator_version: int


class ScoreSpec(Spec):
    """Weights on a test set under a protocol; its hash names the rows."""

    weights: str
    test: TestSet
    protocol: Protocol


# --- the border: YAML ---------------------------------------------------------------

S = TypeVar("S", bound=Spec)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raise :class:`UsageError` that names the file if it is none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold a mapping of keys to values")
    return content


def parse(model: type[S], content: dict[str, Any], where: str) -> S:
    """Build ``model`` from ``content``; ``where`` (a file or flag) stands in the error."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(model, error)}") from error


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """Return one sentence on the first problem of ``error``, with the nearest right key."""
    # A misspelt key is missing as well; the misspelling says more.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    keys = [str(part) for part in first["loc"]]
    where = ".".join(keys) or "the whole"
    if first["type"] == "extra_forbidden":
        return f"unknown key '{where}'; {did_you_mean(keys[-1], _known_keys(model, keys[:-1]))}"
    if first["type"] == "missing":
        return f"key '{where}' is missing"
    message = first["msg"].removeprefix("Value error, ")
    return f"'{where}': {message[0].lower()}{message[1:]}" if keys else message


def _known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return the field names at ``path`` (list positions and union tags are skipped)."""
    models: list[type[BaseModel]] = [model]
    for key in path:
        for candidate in list(models):
            field = candidate.model_fields.get(key)
            if field is not None:
                models = _models_in(field.annotation)
                break
        else:
            tagged = [m for m in models if _tag(m) == key]
            models = tagged or models
    return [name for m in models for name in m.model_fields]


def _tag(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    values = getattr(kind.annotation, "__args__", ()) if kind is not None else ()
    return str(values[0]) if values else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for part in getattr(annotation, "__args__", ()):
        found += _models_in(part)
    return found
