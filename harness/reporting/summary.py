"""From results to the numbers of a table: means, spreads, counts and ranks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.config.data_sets import is_synthetic_name
from harness.config.errors import HarnessError
from harness.config.settings import Column
from harness.evaluation.metrics import MetricFacts
from harness.published.tables import AVERAGE
from harness.reporting.ranks import best_and_second, without_worse
from harness.reporting.summary_frame import (
    Frame,
    SeedMeans,
    frame_of,
    mean_of,
    results_of_images,
    spread_of,
)
from harness.store.result_columns import ResultColumns
from harness.store.results import WHOLE_COLUMN, Result

_CHOSEN_BY = {
    "data set": "--data-root, --on-disk or --clean-images",
    "preprocessing": "--crop-multiple, --noise-rounding or --noise-stream",
    "protocol": "--protocol",
}
"""By what results are of, the flags that ask for another one."""


class MixedResultsError(HarnessError):
    """Results of two data sets, preprocessings or protocols would be in one table.

    Attributes:
        of: what the results are of that a table does not hold.
        expected: what its own are of.
        flags: that ask for the other ones.
    """

    def __init__(self, key: str, other: str, expected: str) -> None:
        self.of, self.expected, self.flags = f"{key} '{other}'", f"'{expected}'", _CHOSEN_BY[key]
        super().__init__(
            f"results of {self.of} stand among those of {self.expected}; a table never mixes two, "
            f"so ask for one of them with {self.flags}"
        )


EntryKey = tuple[str, str, str]
"""Id of a method, name of a column or ``average``, and id of a metric."""


@dataclass(frozen=True)
class MethodRow:
    """One method of a table.

    Attributes:
        id: of the method with its options.
        label: as tables show it.
        reference: whether it is shown and never ranked.
        notes: footnotes.
        is_input: whether it is the degraded input, below which nothing is marked as good.
        runs: how many of its runs are shown; None for one per seed.
    """

    id: str
    label: str
    reference: bool
    notes: tuple[str, ...] = ()
    is_input: bool = False
    runs: int | None = None


@dataclass(frozen=True)
class SummaryRequest:
    """What a table shows, and what its values are means of.

    Attributes:
        title: of the setting.
        setting: name of the setting.
        images_are: what the images are in words, as ``synthetic data``.
        data_sets: by column, the name of the data set that fills it.
        preprocessing: id of the preprocessing of all results.
        protocol: id of the protocol of all results.
        recipe: name of the recipe.
        columns: that are shown and averaged.
        metrics: of the table.
        methods: rows of the table.
        seeds: that were asked for.
        images: by column, the images that a complete value needs.
        centre_px: side of the square that was cut from the centre, None for whole images.
        absent: by column, the data set that would fill it and is not on this disk.
        expected: by column, the images of a complete data set, where the one here has fewer.
        training: a sentence on what was trained on; empty for synthetic data.
        left_out: labels of the setting's columns that were not asked for.
        clean_images: by column and image, what its clean image is called.
    """

    title: str
    setting: str
    images_are: str
    data_sets: Mapping[str, str]
    preprocessing: str
    protocol: str
    recipe: str
    columns: tuple[Column, ...]
    metrics: tuple[MetricFacts, ...]
    methods: tuple[MethodRow, ...]
    seeds: tuple[int, ...]
    images: Mapping[str, Sequence[str]]
    centre_px: int | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    training: str = ""
    left_out: tuple[str, ...] = ()
    expected: Mapping[str, int] = field(default_factory=dict)
    clean_images: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, the average last."""
        names = [column.name for column in self.columns]
        return [*names, AVERAGE]

    def expected_images(self, column: str) -> int:
        """Return how many images a complete value of a column is the mean of."""
        return self.expected.get(column, len(self.images[column]))

    @property
    def is_synthetic(self) -> bool:
        """Whether all images are synthetic."""
        names = self.data_sets.values()
        return bool(names) and all(map(is_synthetic_name, names))


@dataclass(frozen=True)
class Entry:
    """One value: mean over seeds of means over images.

    Attributes:
        value: in the metric's unit; infinite or NaN where an image's value is.
        spread: sample standard deviation over seeds, None with one seed.
        seeds: how many were scored.
        scored: results, over images and seeds.
        expected: results of a complete value.
        rank: 1 or 2 for the best and the second, else None.
        not_finite: the images whose value is not finite, each with it, as ``cat#0 (inf)``.
    """

    value: float
    spread: float | None
    seeds: int
    scored: int
    expected: int
    rank: int | None = None
    not_finite: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every expected image was scored."""
        return self.scored == self.expected

    @property
    def is_whole(self) -> bool:
        """Whether every expected image was scored with a finite value: others are not compared."""
        return self.complete and math.isfinite(self.value)


@dataclass(frozen=True)
class Summary:
    """All entries of a request; a missing value is an absent key."""

    request: SummaryRequest
    entries: Mapping[EntryKey, Entry]

    def entry(self, method: str, column: str, metric: str) -> Entry | None:
        """Return the entry of method id, column name or ``average``, and metric id."""
        return self.entries.get((method, column, metric))


def summarise(results: Sequence[Result], request: SummaryRequest) -> Summary:
    """Compute a summary of ``results``; those of other methods, columns or metrics are left out.

    Raises:
        HarnessError: results of one value were made or scored under two rules or on two data sets,
            or one image has two different values.
    """
    frame = _frame(results, request)
    entries: dict[EntryKey, Entry] = {}
    if frame.empty:
        return Summary(request, entries)
    means = SeedMeans.of(frame)
    for row in request.methods:
        seeds = len(request.seeds) if row.runs is None else row.runs
        for metric in request.metrics:
            for column in request.columns:
                key = (row.id, column.name, metric.id)
                expected = request.expected_images(column.name) * seeds
                # A value of a whole column is one of all its images.
                images = len(request.images[column.name]) if metric.of_set else 1
                entry = _entry(means, key, expected, images)
                if entry is not None:
                    entries[key] = entry
            average = _average(means, row.id, metric.id, entries, request)
            if average is not None:
                entries[row.id, AVERAGE, metric.id] = average
    return Summary(request, _ranked(entries, request))


def _frame(results: Sequence[Result], request: SummaryRequest) -> Frame:
    """Return the results that belong to a request, each value once."""
    images = {}
    for column, names in request.images.items():
        images[column] = [*names, WHOLE_COLUMN] if names else []
    wanted = results_of_images(ResultColumns.of(results), images)
    methods = {row.id for row in request.methods}
    metrics = {metric.id for metric in request.metrics}
    of_sets = {metric.id for metric in request.metrics if metric.of_set}
    is_wanted = wanted.are("method", methods.__contains__)
    is_wanted &= wanted.are("metric", metrics.__contains__)
    is_wanted &= wanted.are("setting", request.setting.__eq__)
    is_whole_column = wanted.are("image", WHOLE_COLUMN.__eq__)
    is_wanted &= wanted.are("metric", of_sets.__contains__) == is_whole_column
    found = wanted.select(is_wanted)
    _check_rules(found, request)
    return frame_of(found)


def _check_rules(results: ResultColumns, request: SummaryRequest) -> None:
    """Check that every column is of one data set, one preprocessing and one protocol."""
    for key, expected in (
        ("preprocessing", request.preprocessing),
        ("protocol", request.protocol),
    ):
        _check_one(key, set(results.distinct(key)), expected)
    for column, of_column in sorted(results.by("column").items()):
        _check_one("data set", set(of_column.distinct("data_set")), request.data_sets[column])


def _check_one(key: str, found: set[str], expected: str) -> None:
    others = sorted(found - {expected})
    if others:
        raise MixedResultsError(key, others[0], expected)


def _entry(means: SeedMeans, key: EntryKey, expected: int, images: int) -> Entry | None:
    """Return the entry of results that are of ``images`` images each; None where there is none."""
    scored = means.scored(key) * images
    if scored == 0:
        return None
    if means.has_not_finite(key):
        return _not_finite(means.rows_of(key), scored, expected)
    of_seeds = means.of_seeds(key)
    return Entry(
        value=mean_of(of_seeds),
        spread=spread_of(of_seeds),
        seeds=len(of_seeds),
        scored=scored,
        expected=max(expected, scored),
    )


def _not_finite(part: Sequence[tuple[int, str, float]], scored: int, expected: int) -> Entry:
    """Return the entry of results of which some are not finite: a mean of the rest is no mean.

    ``part`` holds seed, image and value of each.
    """
    seeds = {seed for seed, _, _ in part}
    values = [value for _, _, value in part]
    images = []
    for seed, image, value in part:
        if not math.isfinite(value):
            where = f"{image}, seed {seed}" if len(seeds) > 1 else image
            images.append(f"{where} ({value})")
    return Entry(
        value=math.fsum(values) if _one_infinity(values) else math.nan,
        spread=None,
        seeds=len(seeds),
        scored=scored,
        expected=max(expected, scored),
        not_finite=tuple(images),
    )


def _one_infinity(values: Iterable[float]) -> bool:
    """Return whether all values that are not finite are the same infinity."""
    found = {str(value) for value in values if not math.isfinite(value)}
    return len(found) == 1 and "nan" not in found


def _average(
    means: SeedMeans,
    method: str,
    metric: str,
    entries: Mapping[EntryKey, Entry],
    request: SummaryRequest,
) -> Entry | None:
    """Return the mean of the columns; absent if one is missing, incomplete or not finite."""
    scored = expected = 0
    for column in request.columns:
        part = entries.get((method, column.name, metric))
        if part is None or not part.is_whole:
            return None
        scored += part.scored
        expected += part.expected
    per_seed = means.of_averages(method, metric)
    return Entry(
        value=mean_of(per_seed),
        spread=spread_of(per_seed),
        seeds=len(per_seed),
        scored=scored,
        expected=expected,
    )


def _ranked(entries: Mapping[EntryKey, Entry], request: SummaryRequest) -> dict[EntryKey, Entry]:
    """Return the entries with best and second marked in every column, among ranked methods.

    What is worse than the degraded input is not marked, even if nothing is better.
    """
    found = dict(entries)
    for metric in request.metrics:
        for column in request.column_names:
            shown = _shown_values(entries, request, column, metric)
            ranks = best_and_second(shown, metric.higher_is_better)
            for row in request.methods:
                of_input = entries.get((row.id, column, metric.id))
                if row.is_input and of_input is not None and of_input.is_whole:
                    limit = round(of_input.value, metric.decimals)
                    ranks = without_worse(ranks, shown, limit, metric.higher_is_better)
            for method, rank in ranks.items():
                key = (method, column, metric.id)
                found[key] = replace(entries[key], rank=rank)
    return found


def _shown_values(
    entries: Mapping[EntryKey, Entry], request: SummaryRequest, column: str, metric: MetricFacts
) -> dict[str, float]:
    """Return what a column shows of each method that is ranked, rounded as shown."""
    shown = {}
    for row in request.methods:
        entry = entries.get((row.id, column, metric.id))
        if entry is not None and entry.is_whole and not row.reference:
            shown[row.id] = round(entry.value, metric.decimals)
    return shown
