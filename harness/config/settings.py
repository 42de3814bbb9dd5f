"""Benchmark settings: tasks, columns, where images come from, how they are made and scored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from harness.config.degradation import AnyDegradation, Version
from harness.config.preprocessing import Preprocessing
from harness.config.protocols import Protocol
from harness.config.spec import Name, Range, Spec, within


class Task(Spec):
    """One degradation that a network is trained for, such as noise of one level.

    Attributes:
        name: unique in its setting.
        family: groups tasks of one kind of degradation, such as three levels of noise.
        degradation: how a clean image is degraded synthetically; ``given`` where degraded images
            come with the files.
        share: how often recipes draw the task that sample by shares; relative.
    """

    name: Name
    family: str
    degradation: AnyDegradation
    share: float = Field(default=1, gt=0, le=1e12)


def degradation_versions(tasks: Iterable[Task]) -> dict[str, Version]:
    """Return the version of every kind of degradation that ``tasks`` use, by kind."""
    versions: dict[str, Version] = {}
    for task in tasks:
        versions |= task.degradation.versions()
    return dict(sorted(versions.items()))


class Column(Spec):
    """One column of the table: test images of one task, ``draws`` degradations of each.

    Attributes:
        name: unique in its setting; what results carry.
        task: the task whose images it shows.
        label: heading in the terminal and in Markdown; the name where it is left out.
        latex_label: heading in LaTeX; the label, escaped, where it is left out.
        group: heading over several columns; empty for none.
        draws: degradations of each embedded image, which differ by their random draws.
    """

    name: Name
    task: str
    label: str = ""
    latex_label: str | None = None
    group: str = ""
    draws: int = Field(default=1, ge=1, le=10_000)

    @model_validator(mode="before")
    @classmethod
    def _labelled(cls, content: Any) -> Any:
        if isinstance(content, dict) and "label" not in content and "name" in content:
            return {**content, "label": content["name"]}
        return content


class DeadLeavesSpec(Spec):
    """Dead-leaves images: occluding shapes whose radii follow ``r ** -exponent``.

    Attributes:
        canvas_px: side of one generated image.
        crops_per_canvas: how many training samples share it.
        radius_px: smallest and largest radius.
        exponent: of the power law; larger means smaller shapes.
        textured: share of shapes that are filled with texture of the training images.
    """

    canvas_px: int = Field(ge=32, le=16_384)
    crops_per_canvas: int = Field(ge=1)
    radius_px: Annotated[Range, within(0.1, 16_384)]
    exponent: float = Field(ge=0, le=20)
    textured: float = Field(ge=0, le=1)


class SyntheticData(Spec):
    """The images of a setting's synthetic version, by their names in ``photographs.yaml``.

    Attributes:
        train: images that training crops are cut from.
        validation: images that recipes are chosen on.
        test: images that are scored.
        dead_leaves_share: share of training samples cut from dead-leaves images instead.
        dead_leaves: how those are generated.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    dead_leaves_share: float = Field(ge=0, le=1)
    dead_leaves: DeadLeavesSpec


class TestSource(Spec):
    """The data set on disk that fills a column, or one group of its folders.

    Attributes:
        column: the column.
        set: name of the data set.
        group: the one group of the set's folders that is used; None uses all.
    """

    column: str
    set: str
    group: str | None = None


def _check_columns(
    tasks: tuple[Task, ...], columns: tuple[Column, ...], sources: tuple[TestSource, ...]
) -> None:
    """Raise :class:`ValueError` if a name occurs twice, or one names nothing."""
    names = [task.name for task in tasks]
    column_names = [column.name for column in columns]
    for kind, found in (("task", names), ("column", column_names)):
        if len(set(found)) != len(found):
            raise ValueError(f"a {kind} name occurs twice")
    for column in columns:
        if column.task not in names:
            raise ValueError(
                f"column '{column.name}' names task '{column.task}', which the setting does not "
                "have"
            )
    for source in sources:
        if source.column not in column_names:
            raise ValueError(
                f"'test_sources' names column '{source.column}', which the setting does not have"
            )


class TrainingSource(Spec):
    """A data set on disk that a family of tasks is trained on.

    Attributes:
        family: the tasks that are trained on it.
        set: name of the data set.
        repeat: how often the published lists name each of its images.
        group: the one group of the set's folders that is used; None uses all.
    """

    family: str
    set: str
    repeat: int = Field(default=1, ge=1)
    group: str | None = None


class Setting(Spec):
    """One benchmark setting: what is trained, tested and scored, and how.

    Attributes:
        name: on the command line, and of its YAML file.
        version: raised when the setting changes.
        title: heading of its tables.
        sources: papers and repositories that define it.
        average: how the last column follows from the others: the plain mean of the columns.
        tasks: degradations that are trained, in the order of classifier outputs.
        sequence: families of tasks in the order of sequential learning; empty takes the tasks'.
        columns: of the table.
        synthetic: images of the synthetic version, or the name of a setting that ships whose
            images are meant; None where there is none, and images are read from disk alone.
        test_sources: data sets on disk that fill the columns.
        training_sources: data sets on disk that are trained on.
        preprocessing: how test and training pairs are made, or the name of a setting that ships
            whose rule is meant.
        protocol: how restored images are scored: the rule, the name of a protocol, or its file.
    """

    name: Name
    version: int = 1
    title: str
    sources: tuple[str, ...] = ()
    average: Literal["mean-of-columns"] = "mean-of-columns"
    tasks: tuple[Task, ...]
    sequence: tuple[str, ...] = ()
    columns: tuple[Column, ...] = Field(min_length=1)
    synthetic: SyntheticData | None = None
    test_sources: tuple[TestSource, ...] = ()
    training_sources: tuple[TrainingSource, ...] = ()
    preprocessing: Preprocessing
    protocol: Protocol

    @model_validator(mode="after")
    def _consistent(self) -> Setting:
        _check_columns(self.tasks, self.columns, self.test_sources)
        families = {task.family for task in self.tasks}
        for source in self.training_sources:
            if source.family not in families:
                raise ValueError(
                    f"'training_sources' names family '{source.family}', which no task of the "
                    "setting has"
                )
        if self.sequence and sorted(self.sequence) != sorted(families):
            raise ValueError(
                f"'sequence' must name each family once: {', '.join(sorted(families))}"
            )
        if self.synthetic is None:
            return self
        split = (*self.synthetic.train, *self.synthetic.validation, *self.synthetic.test)
        if len(set(split)) != len(split):
            raise ValueError("an image is named in two splits or twice in one")
        return self

    @property
    def families(self) -> tuple[str, ...]:
        """Families of tasks in the order in which sequential learning adds them."""
        return self.sequence or tuple(dict.fromkeys(task.family for task in self.tasks))

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks in the order of the setting: the order of classifier outputs."""
        return tuple(task.name for task in self.tasks)

    def task(self, name: str) -> Task:
        """Return the task called ``name``."""
        return next(task for task in self.tasks if task.name == name)


class OODSet(Spec):
    """An out-of-distribution test set: other degradations, other strengths, other images.

    Methods are trained on a setting and scored on these columns instead of its own, under its
    preprocessing and protocol.

    Attributes:
        name: on the command line, and in tables.
        version: raised when the test set changes.
        title: heading of its tables.
        sources: papers and repositories that define it.
        tasks: its degradations; one with the name of one of the setting's tasks counts as that one
            for methods that need task labels.
        columns: of the table.
        test_sources: data sets on disk that fill the columns.
        synthetic: whether the setting's embedded images can be degraded so; without it, data sets
            on disk are needed.
    """

    name: Name
    version: int = 1
    title: str
    sources: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = Field(min_length=1)
    columns: tuple[Column, ...] = Field(min_length=1)
    test_sources: tuple[TestSource, ...] = ()
    synthetic: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> OODSet:
        _check_columns(self.tasks, self.columns, self.test_sources)
        return self
