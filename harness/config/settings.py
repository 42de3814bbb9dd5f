"""Cards of settings: tasks, columns, where images come from, how they are made and scored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from harness.config.degradation import AnyDegradation
from harness.config.preprocessing import Preprocessing
from harness.config.protocols import Protocol
from harness.config.spec import Range, Spec


class Task(Spec):
    """What a prompt answers to; ``family`` groups tasks of one kind of degradation."""

    name: str
    family: str
    degradation: AnyDegradation
    share: float = Field(default=1, gt=0)


def degradation_versions(tasks: Iterable[Task]) -> dict[str, int]:
    """Return the version of every kind of degradation that ``tasks`` use, by kind."""
    versions: dict[str, int] = {}
    for task in tasks:
        versions |= task.degradation.versions()
    return dict(sorted(versions.items()))


class Column(Spec):
    """One column of the table: test images of one task, ``draws`` degradations of each."""

    name: str
    task: str
    label: str
    latex_label: str
    group: str
    draws: int = Field(ge=1)


class DeadLeavesSpec(Spec):
    """Dead-leaves images: occluding shapes whose radii follow ``r ** -exponent``.

    ``radius_px`` bounds the radii, ``canvas_px`` is the side of one generated image and
    ``crops_per_canvas`` says how many training samples share it.
    """

    canvas_px: int = Field(ge=32)
    crops_per_canvas: int = Field(ge=1)
    radius_px: Range
    exponent: float
    textured: float = Field(ge=0, le=1)


class SyntheticData(Spec):
    """The synthetic twin: photographs per split, by their names in the catalogue."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    dead_leaves_share: float = Field(ge=0, le=1)
    dead_leaves: DeadLeavesSpec


class TestSource(Spec):
    """The data set on disk that fills a column, or one group of its folders."""

    column: str
    set: str
    group: str | None = None


def _check_columns(
    tasks: tuple[Task, ...], columns: tuple[Column, ...], reals: tuple[TestSource, ...]
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
            raise ValueError(
                f"'test_sources' names column '{real.column}', which is not in the card"
            )


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
    synthetic: SyntheticData
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
                    f"'training_sources' names family '{source.family}', which no task of the card has"
                )
        if self.sequence and (
            set(self.sequence) != families or len(self.sequence) != len(families)
        ):
            raise ValueError(
                f"'sequence' must name each family once: {', '.join(sorted(families))}"
            )
        split = (*self.synthetic.train, *self.synthetic.validation, *self.synthetic.test)
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


class OODSet(Spec):
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
    test_sources: tuple[TestSource, ...] = ()
    synthetic: bool = True

    @model_validator(mode="after")
    def _consistent(self) -> OODSet:
        _check_columns(self.tasks, self.columns, self.test_sources)
        return self
