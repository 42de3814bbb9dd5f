"""The plan: methods x seeds on a setting become cells; some cells need others.

Planning imports no torch: it hashes specs and looks at what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.changes import Changes
from harness.data.cards import cards_folder, load_setting
from harness.data.degradations.version import GENERATOR_VERSION
from harness.data.disk import Files, OnDisk, find_tests
from harness.data.photographs import describe
from harness.data.recipes import load_recipe
from harness.data.roots import Roots
from harness.data.threads import Tell, nothing
from harness.data.training_sets import TrainingPaths, find_training
from harness.errors import UsageError
from harness.method import CheckContext
from harness.registry import MethodChoice, catalogue, find, options_as_json, resolve_options
from harness.spec import (
    Column,
    Optimisation,
    RealTrainingData,
    Recipe,
    ScoreSpec,
    Setting,
    TestSet,
    TrainingData,
    TrainSpec,
    spec_hash,
)
from harness.stages import plan_stages
from harness.store.cells import CellFolder
from harness.store.weights import file_sha256


@dataclass(frozen=True)
class Source:
    """A file of weights that were not trained here, and where in it they stand, if said."""

    path: Path
    entry: str | None = None


@dataclass(frozen=True)
class Cell:
    """One training and its scoring, or weights from elsewhere and theirs.

    Attributes:
        choice: the method as asked for.
        spec: what determines the weights.
        weights_id: its hash.
        score: what is scored under which protocol; None for auxiliary cells.
        requires: cells whose weights this one builds on, by method name.
        folder: where it is stored.
        source: where the weights come from, if they are not trained.
    """

    choice: MethodChoice
    spec: TrainSpec
    weights_id: str
    score: ScoreSpec | None
    requires: tuple[Cell, ...]
    folder: CellFolder
    source: Source | None = None

    @property
    def label(self) -> str:
        """Return what a person calls the cell."""
        return f"{self.choice.id} seed {self.spec.seed}"


@dataclass(frozen=True)
class Plan:
    """All that one command computes; ``cells`` are scored, ``auxiliary`` trained before them.

    ``files`` are those of test images on disk, ``absent`` the sets of columns that are not there;
    ``training`` are those that are trained on, ``untrained`` by family the sets that would be;
    ``probes`` says whether prompts are probed at length; ``outside`` whether the test
    set is another than the setting's own.
    """

    setting: Setting
    recipe: Recipe
    seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    auxiliary: tuple[Cell, ...]
    columns: tuple[Column, ...]
    metrics: tuple[str, ...]
    out: Path
    files: Files = field(default_factory=dict)
    training: TrainingPaths = field(default_factory=dict)
    untrained: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    probes: bool = False
    outside: bool = False

    @property
    def method_ids(self) -> list[str]:
        """Return method ids in the order of the table, references of the engine first."""
        return list(dict.fromkeys(cell.choice.id for cell in self.cells))


@dataclass(frozen=True)
class Disk:
    """Where real images lie, and by family of tasks a set to train on instead of the card's."""

    roots: Roots
    replaced: Mapping[str, str] = field(default_factory=dict)


def make_plan(
    methods: Sequence[str],
    setting_name: str,
    recipe_name: str,
    seeds: Sequence[int],
    metrics: Sequence[str],
    out: Path,
    disk: Disk | None = None,
    changes: Changes | None = None,
    tell: Tell = nothing,
) -> Plan:
    """Build the plan of ``run``; the degraded input is always part of it.

    With ``disk`` the setting's real sets are trained and scored, of those that are there; ``tell``
    hears how many of their files are hashed. What is scored may change by ``changes``, not what is
    trained.

    Raises:
        UsageError: an unknown name, or options that contradict each other.
    """
    setting, recipe = load_setting(setting_name), load_recipe(recipe_name, setting_name)
    changes = changes or Changes()
    scored = changes.apply(setting, disk is not None)
    tested = changes.tested(scored, disk is not None)
    data: TrainingData | RealTrainingData = _data(setting)
    test, columns = _test(tested, recipe), _columns(tested, recipe)
    on_disk = trained = None
    if disk is not None:
        on_disk = find_tests(tested, disk.roots)
        trained = find_training(setting, disk.roots, disk.replaced, tell)
        data, test = trained.data, _on_disk(test, on_disk)
    names = tuple(task.name for task in data.tasks)
    choices = [find(name) for name in dict.fromkeys([*_always_shown(), *methods])]
    cells: list[Cell] = []
    auxiliary: dict[str, Cell] = {}
    for choice in {c.id: c for c in choices}.values():
        _check_told(choice, setting, tested)
        for seed in seeds if choice.card.trained else seeds[:1]:
            needed = []
            for name in choice.card.requires:
                helper = MethodChoice(name, catalogue().cards[name], {})
                cell = _cell(
                    helper, scored, recipe, recipe.auxiliary, data, names, seed, (), None, out
                )
                needed.append(auxiliary.setdefault(cell.weights_id, cell))
            required = tuple(needed)
            cells.append(
                _cell(choice, scored, recipe, recipe.train, data, names, seed, required, test, out)
            )
    outside = changes.test_set is not None
    helpers = list(auxiliary.values())
    plan = _plan(tested, recipe, seeds, cells, helpers, columns, metrics, out, outside)
    if on_disk is None or trained is None:
        return plan
    return replace(
        plan,
        files=on_disk.files,
        absent=on_disk.absent,
        training=trained.files,
        untrained=trained.absent,
    )


def make_evaluation_plan(
    subject: Released,
    setting_name: str,
    recipe_name: str,
    metrics: Sequence[str],
    out: Path,
    roots: Roots | None = None,
    changes: Changes | None = None,
) -> Plan:
    """Build the plan of ``evaluate``: weights from elsewhere, and the degraded input.

    With ``roots`` the setting's real test sets are scored, of those that are there.

    Raises:
        UsageError: an unknown name, options that contradict each other, or weights missing
            that the method builds on.
    """
    setting, recipe = load_setting(setting_name), load_recipe(recipe_name, setting_name)
    changes = changes or Changes()
    setting = changes.apply(setting, roots is not None)
    tested = changes.tested(setting, roots is not None)
    _check_told(subject.choice, setting, tested)
    test, columns = _test(tested, recipe), _columns(tested, recipe)
    on_disk = None if roots is None else find_tests(tested, roots)
    if on_disk is not None:
        test = _on_disk(test, on_disk)
    context = CheckContext(setting.task_names, recipe.train.micro_batch or recipe.train.batch)
    auxiliary = []
    for name in subject.choice.card.requires:
        if name not in subject.required:
            raise UsageError(
                f"{subject.choice.id} builds on {name}; give its weights: --required {name}=FILE"
            )
        card = MethodChoice(name, catalogue().cards[name], {})
        chosen: Any = resolve_options(card, recipe.size, context, published=True)
        source = subject.required[name]
        auxiliary.append(
            _released_cell(card, options_as_json(chosen), source, setting, (), None, out)
        )
    options = subject.options
    if options is None:
        chosen = resolve_options(subject.choice, recipe.size, context, published=True)
        options = options_as_json(chosen)
    needed = tuple(auxiliary)
    cells = [
        _cell(find(name), setting, recipe, recipe.train, _data(setting), (), 0, (), test, out)
        for name in _always_shown()
    ]
    cells.append(
        _released_cell(subject.choice, options, subject.source, setting, needed, test, out)
    )
    outside = changes.test_set is not None
    plan = _plan(tested, recipe, [0], cells, auxiliary, columns, metrics, out, outside)
    if on_disk is None:
        return plan
    return replace(plan, files=on_disk.files, absent=on_disk.absent)


@dataclass(frozen=True)
class Released:
    """Weights to evaluate.

    Attributes:
        choice: the method that they are weights of.
        source: their file; None for a method that brings its own.
        options: the method's options where the file says them, else None.
        required: files of the methods that it builds on, by name.
    """

    choice: MethodChoice
    source: Source
    options: dict[str, Any] | None
    required: Mapping[str, Source]


def _always_shown() -> list[str]:
    """Return the names of what is part of every table: methods without training or files."""
    cards = catalogue().cards.items()
    return [name for name, card in cards if not card.trained and not card.needs_file]


def _check_told(choice: MethodChoice, setting: Setting, tested: Setting) -> None:
    unknown = [name for name in tested.task_names if name not in setting.task_names]
    if choice.card.needs_task_labels and unknown:
        raise UsageError(
            f"{choice.id} is told the true task of every image, and '{unknown[0]}' is none of "
            f"{setting.name}'s; leave {choice.id} out of this test set"
        )


def _released_cell(
    choice: MethodChoice,
    options: dict[str, Any],
    source: Source,
    setting: Setting,
    requires: tuple[Cell, ...],
    test: TestSet | None,
    out: Path,
) -> Cell:
    spec = TrainSpec(
        method=choice.card.name,
        method_version=choice.card.version,
        options=options,
        tasks=setting.task_names,
        data=None,
        train=None,
        stages=(),
        seed=0,
        requires={cell.spec.method: cell.weights_id for cell in requires},
        source_sha256=file_sha256(source.path),
    )
    return _whole(choice, spec, setting, requires, test, out, source)


def _plan(
    setting: Setting,
    recipe: Recipe,
    seeds: Sequence[int],
    cells: Sequence[Cell],
    auxiliary: Sequence[Cell],
    columns: tuple[Column, ...],
    metrics: Sequence[str],
    out: Path,
    outside: bool,
) -> Plan:
    return Plan(
        setting=setting,
        recipe=recipe,
        seeds=tuple(seeds),
        cells=tuple(cells),
        auxiliary=tuple(auxiliary),
        columns=columns,
        metrics=tuple(dict.fromkeys([*setting.protocol.metrics, *metrics])),
        out=out,
        outside=outside,
    )


def _cell(
    choice: MethodChoice,
    setting: Setting,
    recipe: Recipe,
    train: Optimisation,
    data: TrainingData | RealTrainingData,
    trained_tasks: tuple[str, ...],
    seed: int,
    requires: tuple[Cell, ...],
    test: TestSet | None,
    out: Path,
) -> Cell:
    context = CheckContext(setting.task_names, train.micro_batch or train.batch)
    options: Any = resolve_options(choice, recipe.size, context)
    trained = choice.card.trained
    spec = TrainSpec(
        method=choice.card.name,
        method_version=choice.card.version,
        options=options_as_json(options),
        tasks=setting.task_names,
        data=data if trained else None,
        train=train if trained else None,
        stages=plan_stages(choice, setting, train, trained_tasks) if trained else (),
        seed=seed if trained else 0,
        requires={cell.spec.method: cell.weights_id for cell in requires},
    )
    return _whole(choice, spec, setting, requires, test, out, None)


def _whole(
    choice: MethodChoice,
    spec: TrainSpec,
    setting: Setting,
    requires: tuple[Cell, ...],
    test: TestSet | None,
    out: Path,
    source: Source | None,
) -> Cell:
    weights_id = spec_hash(spec)
    score = None
    if test is not None:
        score = ScoreSpec(weights=weights_id, test=test, protocol=setting.protocol)
    folder = CellFolder.of(out, choice.id, spec.seed, weights_id)
    return Cell(choice, spec, weights_id, score, requires, folder, source)


def _data(setting: Setting) -> TrainingData:
    cards, twin = cards_folder(), setting.twin
    return TrainingData(
        tasks=setting.tasks,
        train=tuple(describe(cards, name) for name in twin.train),
        validation=tuple(describe(cards, name) for name in twin.validation),
        leaves_share=twin.leaves_share,
        leaves=twin.leaves,
        preparation=setting.preparation,
        generator_version=GENERATOR_VERSION,
    )


def _columns(setting: Setting, recipe: Recipe) -> tuple[Column, ...]:
    most = recipe.test.draws
    if most is None:
        return setting.columns
    return tuple(c.model_copy(update={"draws": min(c.draws, most)}) for c in setting.columns)


def _test(setting: Setting, recipe: Recipe) -> TestSet:
    cards = cards_folder()
    return TestSet(
        setting=setting.name,
        setting_version=setting.version,
        columns=_columns(setting, recipe),
        tasks=setting.tasks,
        photographs=tuple(
            describe(cards, name) for name in setting.twin.test[: recipe.test.photographs]
        ),
        centre_px=recipe.test.centre_px,
        preparation=setting.preparation,
        generator_version=GENERATOR_VERSION,
    )


def _on_disk(test: TestSet, found: OnDisk) -> TestSet:
    """Return ``test`` with images on disk, which are scored whole, in place of photographs."""
    update = {"photographs": (), "files": found.tests, "centre_px": None}
    return test.model_copy(update=update)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read ``0,1,2`` or ``0-4``.

    Raises:
        UsageError: something else stands there.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise UsageError(f"--seeds '{text}' is not like 0,1,2 or 0-4")
        seeds += range(int(first), int(last or first) + 1)
    if not seeds or len(set(seeds)) != len(seeds):
        raise UsageError(f"--seeds '{text}' names no seed, or one twice")
    return tuple(seeds)
