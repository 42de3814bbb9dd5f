"""The values of several methods on the images and seeds that all of them have."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.config.errors import HarnessError, UsageError
from harness.evaluation.metrics import MetricFacts, metric_ids
from harness.planning.command_line import command_line
from harness.planning.plan import Plan
from harness.reporting.frames import results_below
from harness.reporting.plan_summary import (
    results_by_method,
    runs_by_method,
    scored_as,
    summary_of_results,
)
from harness.reporting.statistics import with_clean_names
from harness.reporting.summary import MixedResultsError, SummaryRequest
from harness.store.result_columns import ResultColumns
from harness.store.results import Result

Image = tuple[str, str]
"""Column and name of a test image."""


@dataclass(frozen=True)
class Candidate:
    """One side of a comparison.

    Attributes:
        id: what tells it from the others: that of the method, with the folder if it is another.
        label: as tables show it.
        method: id of the method with its options.
        results: all that is stored of it.
        is_trained: whether it has seeds; what is not trained counts under every seed.
        folder: the archive or other output folder that it is from; None for that of the plan.
    """

    id: str
    label: str
    method: str
    results: Sequence[Result]
    is_trained: bool = True
    folder: Path | None = None


@dataclass(frozen=True)
class CommonValues:
    """Values on the images and seeds that all candidates have.

    Attributes:
        candidates: in the order in which they were asked for.
        request: what the table of the same plan shows.
        seeds: that all have.
        images: that all have, by column and name, in the order of the table.
        by_metric: by metric id, values (candidates, seeds, images).
        expected: images that are scored in the columns whose data are there.
        lacking: by candidate id, how many of those images it lacks, where it lacks any.
        other_seeds: seeds that were asked for and that not all have.
    """

    candidates: tuple[Candidate, ...]
    request: SummaryRequest
    seeds: tuple[int, ...]
    images: tuple[Image, ...]
    by_metric: Mapping[str, NDArray[np.float64]]
    expected: int
    lacking: Mapping[str, int] = field(default_factory=dict)
    other_seeds: tuple[int, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the candidates by id."""
        return {candidate.id: candidate.label for candidate in self.candidates}

    @property
    def column_labels(self) -> dict[str, str]:
        """Labels of the table's columns by name."""
        return {column.name: column.label for column in self.request.columns}

    @functools.cached_property
    def clean_images(self) -> list[tuple[str, str]]:
        """Column and clean image of each image."""
        return with_clean_names(self.images, self.request.clean_images)

    @property
    def places(self) -> dict[str, list[int]]:
        """By column in which there is something to compare, where its images are."""
        found: dict[str, list[int]] = {}
        for place, (column, _) in enumerate(self.images):
            found.setdefault(column, []).append(place)
        return found

    @property
    def columns(self) -> list[str]:
        """The columns in which there is something to compare."""
        return list(self.places)

    @property
    def is_whole(self) -> bool:
        """Whether every column of the table is there, so that a mean over columns is one."""
        return len(self.columns) == len(self.request.columns)


def candidates_of(plan: Plan, methods: Sequence[str]) -> list[Candidate]:
    """Return methods of a plan with what is stored of them.

    Raises:
        HarnessError: nothing is stored of one of them.
    """
    results, runs = results_by_method(plan), runs_by_method(plan)
    found = []
    for method in methods:
        if not results[method]:
            asked = plan.request.model_copy(update={"methods": (method,), "labels": {}})
            raise HarnessError(
                f"{plan.out} holds no scores of {method} on {plan.setting.name} with recipe "
                f"{plan.recipe.name}; compute them with: {command_line('run', asked)}"
            )
        first = runs[method][0]
        label = first.method.label
        found.append(Candidate(method, label, method, results[method], first.is_seeded))
    return found


def candidates_in(folder: Path, plan: Plan, own: Sequence[Candidate]) -> list[Candidate]:
    """Return the same methods with what an archive or another output folder holds of them.

    Raises:
        HarnessError: it holds nothing of one of them on the setting and seeds of the plan.
    """
    stored = results_below(folder)
    found = []
    for candidate in own:
        seeds = set(plan.seeds) if candidate.is_trained else {plan.seeds[0], 0}
        is_same = stored.are("method", candidate.method.__eq__)
        is_same &= stored.are("setting", plan.setting.name.__eq__)
        results = stored.select(is_same & np.isin(stored.seeds, list(seeds)))
        results = _scored_alike(results, plan)
        if not results:
            raise HarnessError(
                f"{folder} holds no scores of {candidate.method} on {plan.setting.name} with seeds "
                f"{', '.join(map(str, plan.seeds))}; name another folder"
            )
        name, label = f"{candidate.id} in {folder}", f"{candidate.label} ({folder.name})"
        found.append(replace(candidate, id=name, label=label, results=results, folder=folder))
    return found


def _scored_alike(results: ResultColumns, plan: Plan) -> ResultColumns:
    """Return the results of the plan's own trainings, else of those that are scored as the plan is.

    Where there are neither, all are returned.
    """
    own = {run.weights_id for run in plan.runs}
    by_weights = results.by("weights")
    scored = {weights: scored_as(plan, same) for weights, same in by_weights.items()}
    alike = {weights: found for weights, found in scored.items() if found}
    ours = [found for weights, found in alike.items() if weights in own]
    return ResultColumns.joined(ours or alike.values() or [results])


def common_values(plan: Plan, candidates: Sequence[Candidate]) -> CommonValues:
    """Return the values on the images and seeds that all candidates have.

    Raises:
        UsageError: a metric has one value for all images of a column.
        HarnessError: they have no seed or no image in common, a metric is not scored of one of
            them, or results of two preprocessings, protocols or data sets would be compared.
    """
    for candidate in candidates:
        request = _shown(plan, candidate)
    _check_per_image(request.metrics)
    seeds = _common_seeds(request, candidates)
    scored = {}
    for candidate in candidates:
        scored[candidate.id] = _scored(candidate, seeds)
    metrics = [metric.id for metric in request.metrics]
    wanted = _wanted_images(request)
    unscored = _unscored(scored, wanted, (seeds, metrics))
    if unscored:
        raise HarnessError(_not_scored(unscored, plan, candidates))
    lacking = {}
    common = set(wanted)
    for candidate in candidates:
        own = _complete(scored[candidate.id], wanted, (seeds, metrics))
        if len(own) < len(wanted):
            lacking[candidate.id] = len(wanted) - len(own)
        common &= own
    images = tuple(filter(common.__contains__, wanted))
    if not images:
        raise HarnessError(
            f"{', '.join(scored)} have no image of {request.setting} in common; score the same "
            "images of all of them with python -m harness run"
        )
    return CommonValues(
        candidates=tuple(candidates),
        request=request,
        seeds=seeds,
        images=images,
        by_metric=_by_metric(list(scored.values()), metrics, seeds, images),
        expected=len(wanted),
        lacking=lacking,
        other_seeds=tuple(sorted(set(request.seeds) - set(seeds))),
    )


def _shown(plan: Plan, candidate: Candidate) -> SummaryRequest:
    """Return what a table of the plan shows; refuse results of two rules, as such a table does."""
    try:
        return summary_of_results(plan, {candidate.method: candidate.results}).request
    except MixedResultsError as error:
        if candidate.folder is None:
            raise
        raise HarnessError(
            f"--against {candidate.folder} holds results of {candidate.method} of {error.of}, and "
            f"those here are of {error.expected}; ask for the same with {error.flags}, or name "
            "another folder"
        ) from error


_Key = tuple[int, str, str, str]
"""Seed, column, image and metric."""


def _common_seeds(request: SummaryRequest, candidates: Sequence[Candidate]) -> tuple[int, ...]:
    names = []
    common = set(request.seeds)
    for candidate in candidates:
        if candidate.is_trained:
            names.append(candidate.id)
            common &= set(ResultColumns.of(candidate.results).seeds.tolist())
    if not names:
        return request.seeds[:1]
    if not common:
        raise HarnessError(
            f"{', '.join(names)} have no seed in common; train the same ones with "
            "python -m harness run --seeds 0,1,2"
        )
    return tuple(filter(common.__contains__, request.seeds))


def _scored(candidate: Candidate, seeds: Sequence[int]) -> dict[_Key, float]:
    """Return all values by seed, column, image and metric."""
    values = {}
    results = ResultColumns.of(candidate.results)
    names = [results.texts(field) for field in ("column", "image", "metric")]
    rows = zip(results.seeds.tolist(), *names, results.values.tolist(), strict=True)
    for own_seed, column, image, metric, value in rows:
        for seed in [own_seed] if candidate.is_trained else seeds:
            values[seed, column, image, metric] = value
    return values


def _wanted_images(request: SummaryRequest) -> list[Image]:
    wanted: list[Image] = []
    for column in request.columns:
        if column.name not in request.absent:
            wanted += itertools.product([column.name], request.images[column.name])
    return wanted


def _check_per_image(metrics: Sequence[MetricFacts]) -> None:
    """Refuse metrics in which no image has a value of its own."""
    of_sets = [metric.id for metric in metrics if metric.of_set]
    if of_sets:
        raise UsageError(
            f"{', '.join(of_sets)} has one value for all images of a column, and methods are "
            "compared image by image; leave it out of --metrics"
        )


def _unscored(
    scored: Mapping[str, Mapping[_Key, float]],
    images: Sequence[Image],
    needed: tuple[Sequence[int], Sequence[str]],
) -> dict[str, list[str]]:
    """Return, by metric, the ids of the candidates that have values of other metrics alone."""
    found: dict[str, list[str]] = {}
    for name, own in scored.items():
        lacking = [one for one in needed[1] if not _complete(own, images, (needed[0], [one]))]
        if len(lacking) < len(needed[1]):
            for metric in lacking:
                found.setdefault(metric, []).append(name)
    return found


def _not_scored(
    unscored: Mapping[str, Sequence[str]], plan: Plan, candidates: Sequence[Candidate]
) -> str:
    """Return the sentence on metrics that candidates were not scored by, and how they are."""
    lacking = [f"{metric} of {', '.join(names)}" for metric, names in unscored.items()]
    ids = {name for names in unscored.values() for name in names}
    found = [candidate for candidate in candidates if candidate.id in ids]
    ways = []
    # What the protocol scores by is always shown; what was added can be left out.
    if unscored.keys() <= set(metric_ids(plan.request.metrics)):
        ways.append("leave it out of --metrics")
    if any(candidate.folder is not None for candidate in found):
        ways.append("name another folder with --against")
    methods = tuple(candidate.method for candidate in found if candidate.folder is None)
    if methods:
        asked = plan.request.model_copy(update={"methods": methods, "labels": {}})
        ways.append(f"compute them with: {command_line('run', asked)}")
    return f"there are no scores in {'; '.join(lacking)}; {', or '.join(ways)}"


def _complete(
    scored: Mapping[_Key, float],
    images: Sequence[Image],
    needed: tuple[Sequence[int], Sequence[str]],
) -> set[Image]:
    """Return the images that have a value of every seed and metric of ``needed``."""
    found = set()
    for column, image in images:
        keys = itertools.product(needed[0], [column], [image], needed[1])
        if scored.keys() >= set(keys):
            found.add((column, image))
    return found


def _by_metric(
    scored: Sequence[Mapping[_Key, float]],
    metrics: Sequence[str],
    seeds: Sequence[int],
    images: Sequence[Image],
) -> dict[str, NDArray[np.float64]]:
    """Return values (candidates, seeds, images) by metric."""
    found = {}
    for metric in metrics:
        values = np.empty((len(scored), len(seeds), len(images)))
        for place, own in enumerate(scored):
            for row, seed in enumerate(seeds):
                keys = [(seed, column, image, metric) for column, image in images]
                values[place, row] = list(map(own.__getitem__, keys))
        found[metric] = values
    return found
