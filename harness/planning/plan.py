"""The plan: methods times seeds on a setting become runs; some runs need others.

Planning imports no torch: it hashes specs and looks at what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.config.errors import UsageError, did_you_mean
from harness.config.files import load_setting
from harness.config.recipe_files import load_recipe
from harness.config.recipes import Recipe
from harness.config.run_specs import TestSet
from harness.config.settings import Column, Setting
from harness.config.user_folders import check_no_file
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.sources.opening import open_source
from harness.data.sources.protocol import DataSource
from harness.evaluation.metrics.registry import metric_ids
from harness.planning.budget import Budget
from harness.planning.checkpoints import (
    check_required,
    initial_weights,
    method_of,
    published_options,
    require_weights,
)
from harness.planning.overrides import ScoredSetting, override
from harness.planning.own_files import use_own_files
from harness.planning.own_training import check_names, with_values
from harness.planning.request import CheckpointRequest, RunRequest
from harness.planning.run import Run
from harness.planning.run_factory import RunFactory
from harness.registry import (
    MethodChoice,
    WeightsFile,
    auxiliary_method,
    catalogue,
    find,
    id_of,
)


@dataclass(frozen=True)
class Plan:
    """All that one request computes.

    Attributes:
        request: what was asked for.
        setting: the setting with the columns that are scored, after overrides.
        recipe: how networks are trained and how much is tested.
        source: where images come from.
        test: what is scored.
        metrics: ids of all metrics, those of the protocol first.
        runs: what is scored, in the order of the table.
        auxiliary: what is trained before them because they build on it.
        absent_columns: by column, the data set that would fill it and is not on this disk.
        absent_families: by family of tasks without training images, the sets that would have them.
        others: the same runs scored under further protocols that the request names. Images are
            restored once for all of them.
        budget: of the search whose trials the runs are; None where they are no trials.
    """

    request: RunRequest
    setting: Setting
    recipe: Recipe
    source: DataSource
    test: TestSet
    metrics: tuple[str, ...]
    runs: tuple[Run, ...]
    auxiliary: tuple[Run, ...]
    absent_columns: Mapping[str, str] = field(default_factory=dict)
    absent_families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: tuple[Plan, ...] = ()
    budget: Budget | None = None

    @property
    def by_protocol(self) -> tuple[Plan, ...]:
        """This plan under each protocol that was asked for, the first one first."""
        return (self, *self.others)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the table, with the draws that the recipe tests."""
        return self.test.columns

    @property
    def shown_columns(self) -> tuple[Column, ...]:
        """The columns that are shown and averaged: those that were asked for, or all."""
        chosen = self.request.columns
        if not chosen:
            return self.columns
        return tuple(column for column in self.columns if column.name in chosen)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that were asked for."""
        return self.request.seeds

    @property
    def out(self) -> Path:
        """The output folder."""
        return self.request.out

    @property
    def probes(self) -> bool:
        """Whether prompts are analysed at length."""
        return self.request.probes

    @property
    def out_of_distribution(self) -> bool:
        """Whether a test set other than the setting's own is scored."""
        return self.request.evaluation.test_set is not None

    @property
    def all_runs(self) -> tuple[Run, ...]:
        """All runs, each after those that it needs."""
        return (*self.auxiliary, *self.runs)

    @property
    def method_ids(self) -> list[str]:
        """Method ids in the order of the table, references first."""
        return list(dict.fromkeys(run.method.id for run in self.runs))

    def run(self, run_id: str) -> Run:
        """Return the run called ``run_id``.

        Raises:
            UsageError: the plan has no such run; the nearest is named.
        """
        by_id = {run.id: run for run in self.all_runs}
        if run_id not in by_id:
            raise UsageError(f"the plan has no run '{run_id}'; {did_you_mean(run_id, by_id)}")
        return by_id[run_id]


def make_plan(request: RunRequest, on_progress: OnProgress = no_progress) -> Plan:
    """Build the plan of a request; the degraded input is always part of it.

    ``on_progress`` receives how many files of data sets have been hashed.

    Raises:
        UsageError: an unknown name, options that contradict each other, data that is missing, or
            an output folder that is a file.
        HarnessError: files of a data set do not fit together.
    """
    check_no_file(request.out, "--out")
    use_own_files(request.include, request.plugins)
    labels = {id_of(name): text for name, text in request.labels.items()}
    request = request.model_copy(update={"labels": labels})
    own = load_setting(request.setting)
    recipe = load_recipe(request.recipe, own.name)
    if request.data.rehash:
        if not request.data.uses_files and not request.data.clean_images.by_split:
            raise UsageError("--rehash is about images on disk; add --data-root")
        from harness.data.on_disk.hashing import look_again  # most commands hash no images

        look_again()
    source = open_source(
        request.data.root,
        request.data.on_disk,
        request.data.train_sets,
        request.data.clean_images.by_split,
        on_progress,
    )
    _check_probes(request)
    plans = []
    for scored in override(own, request.evaluation, request.data.uses_files):
        plans.append(_plan_under(scored, own, request, recipe, source))
    return replace(plans[0], others=tuple(plans[1:]))


def _plan_under(
    scored: ScoredSetting, own: Setting, request: RunRequest, recipe: Recipe, source: DataSource
) -> Plan:
    """Return the plan under one protocol."""
    _check_columns(request, scored.tested)
    trains = request.checkpoint is None
    plan = Plan(
        request=request,
        setting=scored.tested,
        recipe=recipe,
        source=source,
        test=source.test_set(scored.tested, recipe.test.with_limit(request.limit)),
        metrics=metric_ids([*scored.tested.protocol.metrics, *request.metrics]),
        runs=(),
        auxiliary=(),
        absent_columns=source.absent_columns(scored.tested),
        absent_families=source.absent_families(own) if trains else {},
    )
    factory = RunFactory(
        setting=scored.rules,
        recipe=recipe,
        data=source.training_data(own) if trains else None,
        test=plan.test,
        out=request.out,
        initial=initial_weights(request),
    )
    if request.checkpoint is None:
        runs = _trained_runs(request, scored, factory)
    else:
        runs = _pretrained_runs(request.checkpoint, scored, factory)
    auxiliary = {needed.weights_id: needed for run in runs for needed in run.requires}
    _check_training_sizes(source, own, [*auxiliary.values(), *runs])
    return replace(plan, runs=tuple(runs), auxiliary=tuple(auxiliary.values()))


def _check_training_sizes(source: DataSource, setting: Setting, runs: Sequence[Run]) -> None:
    """Refuse training images that are smaller than a patch of one of the runs.

    A run that has its provenance was checked before it was trained; its images stay closed.
    """
    patches_px: list[int] = []
    for run in runs:
        train = run.train
        if train.data is None or train.optimisation is None or run.folder.provenance.exists():
            continue
        patches_px.append(train.optimisation.patch_px)
    if patches_px:
        source.check_training_sizes(setting, max(patches_px))


def _check_columns(request: RunRequest, tested: Setting) -> None:
    known = [column.name for column in tested.columns]
    for name in request.columns:
        if name not in known:
            raise UsageError(
                f"--columns: {tested.name} has no column '{name}'; {did_you_mean(name, known)}"
            )


def _check_probes(request: RunRequest) -> None:
    if request.probes and request.evaluation.test_set is not None:
        raise UsageError(
            "--probes are about the setting's own test set, and show there how "
            "out-of-distribution degradations are routed; leave --test-set out"
        )


def _trained_runs(request: RunRequest, scored: ScoredSetting, factory: RunFactory) -> list[Run]:
    references = dict.fromkeys([*_always_shown(), *request.methods])
    methods = {method.id: method for method in map(find, references)}
    training = {find(name).id: values for name, values in request.training.items()}
    check_names(training, methods)
    runs = []
    for method in methods.values():
        _check_task_labels(method, scored)
        train = with_values(factory.recipe.train, training.get(method.id, {}), method.id)
        seeds = request.seeds if method.spec.trained else request.seeds[:1]
        runs += [factory.method_run(method, seed, train) for seed in seeds]
    return runs


def _pretrained_runs(
    asked: CheckpointRequest, scored: ScoredSetting, factory: RunFactory
) -> list[Run]:
    for path in (asked.file, *asked.required.values()):
        require_weights(path)
    method, options = method_of(asked, factory)
    _check_task_labels(method, scored)
    check_required(asked, method)
    required = []
    for name in method.spec.requires:
        helper = auxiliary_method(name)
        checkpoint = WeightsFile(asked.required[name])
        helper_options = published_options(helper, factory)
        required.append(factory.pretrained_run(helper, helper_options, checkpoint, scored=False))
    runs = [factory.method_run(find(name), 0) for name in _always_shown()]
    checkpoint = WeightsFile(asked.file, asked.entry, asked.prefix, asked.ignore)
    runs.append(factory.pretrained_run(method, options, checkpoint, tuple(required)))
    return runs


def _always_shown() -> list[str]:
    """Return the names of what is part of every table: methods without training or files."""
    specs: Sequence[tuple[str, Any]] = list(catalogue().specs.items())
    return [name for name, spec in specs if not spec.trained and not spec.needs_file]


def _check_task_labels(method: MethodChoice, scored: ScoredSetting) -> None:
    known = scored.rules.task_names
    unknown = [name for name in scored.tested.task_names if name not in known]
    if method.spec.needs_task_labels and unknown:
        raise UsageError(
            f"{method.id} needs the true task of every image, and '{unknown[0]}' is none of "
            f"{scored.rules.name}'s; leave {method.id} out of this test set"
        )
