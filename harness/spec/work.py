"""What is trained and what is scored; weights and rows are known by the hashes of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import Field, JsonValue

from harness.spec.base import Spec
from harness.spec.recipes import Optimisation
from harness.spec.settings import Column, LeavesSpec, Preparation, Protocol, Task


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
