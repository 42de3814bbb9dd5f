"""The images that methods restored of a test pair, as they are kept, with their stored values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.config.errors import HarnessError
from harness.config.run_specs import ScoreSpec
from harness.evaluation.metrics import MetricFacts, metric_facts
from harness.planning.command_line import command_line
from harness.planning.image_choice import Name
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.figures.crops import Box, CropRule, Pixels, largest_difference
from harness.reporting.plan_summary import runs_by_method
from harness.reporting.ranks import best_and_second
from harness.reporting.wording import column_labels, worded_metric
from harness.store.image_files import image_paths, read_kept_image
from harness.store.stored_results import results_of

_MOST_DECIMALS = 3
_SHOWN_METRICS = 2


@dataclass(frozen=True)
class Version:
    """An image as one method restored it, or the degraded one.

    Attributes:
        title: the method.
        pixels: None where the image is not kept.
        values: by metric id, those that are stored.
    """

    title: str
    pixels: Pixels | None
    values: Mapping[str, float]


@dataclass(frozen=True)
class ShownImage:
    """A test pair and what methods made of it.

    Attributes:
        name: column and image.
        caption: what it is.
        clean: what restored images are compared to.
        degraded: the input.
        restored: one version of each method.
    """

    name: Name
    caption: str
    clean: Pixels
    degraded: Version
    restored: tuple[Version, ...]


def shown_images(plan: Plan, names: Sequence[Name]) -> list[ShownImage]:
    """Read what is kept of test pairs; of several seeds the first that has weights is shown.

    Raises:
        HarnessError: an image is missing or damaged, or no method restored any.
    """
    shown = runs_with_images(plan)
    if not shown:
        raise HarnessError(
            f"{plan.out} holds no images that these methods restored; keep them with: "
            f"{command_line('images', plan.request)}"
        )
    of_input = next((run for run in plan.runs if not run.method.spec.trained), None)
    labels = column_labels(plan)
    of_image = {} if of_input is None else _values(of_input)
    stored = [(run, _values(run)) for run in shown]
    found = []
    for name in names:
        paths = image_paths(shown[0].folder, _score(shown[0]), *name)
        versions = []
        for run, values in stored:
            restored = image_paths(run.folder, _score(run), *name).restored
            pixels = read_kept_image(restored) if restored.exists() else None
            versions.append(Version(run.method.label, pixels, values.get(name, {})))
        found.append(
            ShownImage(
                name=name,
                caption=f"{labels[name[0]]}: {name[1]}",
                clean=read_kept_image(paths.clean),
                degraded=Version(
                    "Degraded", read_kept_image(paths.degraded), of_image.get(name, {})
                ),
                restored=tuple(versions),
            )
        )
    return found


def most_disputed(plan: Plan, count: int) -> list[Name]:
    """Return the test pairs on which methods differ most in the first metric, of several columns.

    A column comes twice only when every other one has been taken.

    Raises:
        HarnessError: nothing is scored.
    """
    values: dict[Name, list[float]] = {}
    for run in runs_with_images(plan) or plan.runs:
        for result in results_of(run.folder.results, run.score):
            if result.metric == plan.metrics[0] and math.isfinite(result.value):
                values.setdefault((result.column, result.image), []).append(result.value)
    if not values:
        raise HarnessError(
            f"{plan.out} holds no scores of these methods; compute them with: "
            f"{command_line('run', plan.request)}"
        )
    shown = {column.name for column in plan.shown_columns}
    left = [name for name in values if name[0] in shown]
    left.sort(key=lambda name: max(values[name]) - min(values[name]), reverse=True)
    chosen: list[Name] = []
    while left and len(chosen) < count:
        best = min(left, key=lambda name: _times_taken(name[0], chosen))
        chosen.append(best)
        left.remove(best)
    return chosen


def shown_metrics(plan: Plan) -> list[MetricFacts]:
    """Return the metrics whose values stand below images: the first two."""
    shown = plan.metrics[:_SHOWN_METRICS]
    return [worded_metric(plan.request, metric_facts(name)) for name in shown]


def value_texts(version: Version, metrics: Sequence[MetricFacts]) -> tuple[str, ...]:
    """Return the values of a version, ``-`` for one that is not stored; nothing if none is."""
    texts = []
    for metric in metrics:
        value = version.values.get(metric.id)
        decimals = min(metric.decimals, _MOST_DECIMALS)
        texts.append("-" if value is None else f"{value:.{decimals}f}")
    return tuple(texts) if version.values else ()


def best_texts(image: ShownImage, metrics: Sequence[MetricFacts]) -> list[frozenset[int]]:
    """Return of each method which of its :func:`value_texts` are the best of the image.

    Equal digits are equally good; none is the best of fewer than two.
    """
    texts = [value_texts(version, metrics) for version in image.restored]
    best: list[set[int]] = [set() for _ in texts]
    for place, metric in enumerate(metrics):
        shown = {}
        for number, version in enumerate(image.restored):
            if metric.id in version.values:
                shown[str(number)] = float(texts[number][place])
        for name, rank in best_and_second(shown, metric.higher_is_better).items():
            if rank == 1:
                best[int(name)].add(place)
    return [frozenset(places) for places in best]


def box_of(image: ShownImage, crop: CropRule) -> Box | None:
    """Return the part of an image that is shown enlarged; None for all of it.

    A rectangle is taken as it is; :func:`check_inside` says whether the image holds it.
    """
    if isinstance(crop, Box):
        return crop
    if crop == "none":
        return None
    kept = [version.pixels for version in image.restored if version.pixels is not None]
    return largest_difference(kept if len(kept) > 1 else [*kept, image.clean])


def runs_with_images(plan: Plan) -> list[Run]:
    """Return of each method the first run that has restored something, without the input."""
    found = []
    for runs in runs_by_method(plan).values():
        able = [run for run in runs if run.folder.weights.exists() or _has_images(run)]
        if runs[0].method.spec.is_input:
            continue
        if not runs[0].method.spec.trained:
            able = runs
        found += able[:1]
    return found


def _has_images(run: Run) -> bool:
    return (run.folder.path / "images").is_dir()


def _score(run: Run) -> ScoreSpec:
    assert run.score is not None
    return run.score


def _values(run: Run) -> dict[Name, dict[str, float]]:
    """Return what is stored of a run: by column and image, the values by metric id."""
    found: dict[Name, dict[str, float]] = {}
    for result in results_of(run.folder.results, run.score):
        found.setdefault((result.column, result.image), {})[result.metric] = result.value
    return found


def _times_taken(column: str, chosen: Sequence[Name]) -> int:
    return sum(taken == column for taken, _ in chosen)
