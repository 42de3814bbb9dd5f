"""What is trained and what is scored; weights and results are known by the hashes of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field, JsonValue

from harness.config.degradation import Version
from harness.config.preprocessing import Preprocessing, centred_id
from harness.config.protocols import Protocol
from harness.config.recipes import Optimisation
from harness.config.settings import Column, DeadLeavesSpec, Task
from harness.config.spec import Spec


class Photograph(Spec):
    """One embedded image as it is used: its name and the hash of its file's bytes."""

    name: str
    sha256: str


class CleanFolder(Spec):
    """Clean images of one folder that degradations are applied to, wherever the folder is.

    ``set`` is the folder's name, ``images`` are those that are used, in the order of their names,
    and ``sha256`` is a hash of the bytes of all images of the folder.
    """

    set: str
    images: tuple[str, ...]
    sha256: str


class SyntheticTrainingData(Spec):
    """What the training batches of a synthetic setting are made of.

    Images to train on are embedded photographs and dead leaves, or ``train_folder``; images to
    validate on are photographs, or ``validation_folder``. ``degradation_versions`` holds the
    version of every generator that is used, and of no other.
    """

    added_later: ClassVar = ("train_folder", "validation_folder")

    tasks: tuple[Task, ...]
    train: tuple[Photograph, ...]
    validation: tuple[Photograph, ...]
    dead_leaves_share: float
    dead_leaves: DeadLeavesSpec | None
    preprocessing: Preprocessing
    degradation_versions: dict[str, Version]
    train_folder: CleanFolder | None = None
    validation_folder: CleanFolder | None = None

    @property
    def validation_count(self) -> int:
        """The number of images that are validated on."""
        folder = self.validation_folder
        return len(self.validation if folder is None else folder.images)


class TrainingFiles(Spec):
    """Images of a data set on disk that a family of tasks is trained on.

    ``sha256`` is a hash of the bytes of all files, wherever they are stored; images in ``held_out``
    are for validation and not trained on.
    """

    family: str
    set: str
    group: str | None
    layout: str
    repeat: int
    count: int
    held_out: tuple[str, ...]
    sha256: str


class OnDiskTrainingData(Spec):
    """What the training batches are made of where images come from data sets on disk.

    ``tasks`` are those with something to train on. Noise is added to clean images; all other
    degradations are those of the files.
    """

    tasks: tuple[Task, ...]
    files: tuple[TrainingFiles, ...]
    preprocessing: Preprocessing
    degradation_versions: dict[str, Version]

    @property
    def validation_count(self) -> int:
        """The number of images that are validated on, over all families of tasks."""
        return sum(len(entry.held_out) for entry in self.files)


class Stage(Spec):
    """A part of a training: optimiser and learning rate restart with it, weights are kept.

    ``name`` is what the method knows it by, empty if it has one stage; ``tasks`` are sampled.
    """

    name: str
    steps: int = Field(ge=1)
    warmup_steps: int = Field(ge=0)
    decay_steps: int = Field(ge=1)
    tasks: tuple[str, ...] = Field(min_length=1)


class TrainSpec(Spec):
    """All that determines weights; its hash is their id.

    Weights that are trained here follow from data, optimisation and seed. Pretrained weights follow
    from ``checkpoint_sha256``, the hash of their file, alone; their ``optimisation`` is None.
    ``tasks`` are in the order of the setting, which is that of classifier outputs. ``requires``
    maps the methods that this one builds on to the ids of their weights. ``plugin_sha256`` is the
    hash of the file of a method that comes from a plug-in, ``initial_sha256`` that of the weights
    from which a fine-tuning starts. ``checkpoint_parts`` is which part of a checkpoint was asked
    for by entry, prefix or names to ignore; None where its file alone decides.
    """

    added_later: ClassVar = ("plugin_sha256", "initial_sha256", "checkpoint_parts")

    method: str
    method_version: int
    options: dict[str, JsonValue]
    tasks: tuple[str, ...]
    data: SyntheticTrainingData | OnDiskTrainingData | None
    optimisation: Optimisation | None
    stages: tuple[Stage, ...]
    seed: int
    requires: dict[str, str]
    checkpoint_sha256: str | None = None
    plugin_sha256: str | None = None
    initial_sha256: str | None = None
    checkpoint_parts: dict[str, JsonValue] | None = None


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
    """The images of a column on disk: their names, and a hash of all their bytes."""

    __test__ = False

    column: str
    set: str
    layout: str
    images: tuple[str, ...]
    sha256: str


class TestSet(Spec):
    """The images that are scored and how each pair is made.

    The images are embedded ``photographs``, ``files`` on disk, or the clean images of a ``folder``
    that degradations are applied to, once each.
    """

    __test__ = False

    added_later: ClassVar = ("folder",)

    setting: str
    setting_version: int
    columns: tuple[Column, ...]
    tasks: tuple[Task, ...]
    photographs: tuple[Photograph, ...]
    files: tuple[TestFiles, ...] = ()
    centre_px: int | None
    preprocessing: Preprocessing
    degradation_versions: dict[str, Version]
    folder: CleanFolder | None = None

    @property
    def preprocessing_id(self) -> str:
        """What results carry: the id of the preprocessing, and the side of a centre if one is cut.

        Noise is drawn by the id of the preprocessing alone, whose values this leaves as they are.
        """
        if self.centre_px is None:
            return self.preprocessing.id
        return centred_id(self.preprocessing.id, self.centre_px)

    def images_by_column(self) -> dict[str, list[str]]:
        """Return by column the names of the images that a complete column has."""
        images: dict[str, list[str]] = {column.name: [] for column in self.columns}
        for files in self.files:
            images[files.column] += files.images
        for column in self.columns:
            if self.folder is not None:
                images[column.name] += self.folder.images
            for photograph in self.photographs:
                for draw in range(column.draws):
                    images[column.name].append(f"{photograph.name}#{draw}")
        return images


class ScoreSpec(Spec):
    """Weights on a test set under a protocol; results carry its hash."""

    weights: str
    test: TestSet
    protocol: Protocol
