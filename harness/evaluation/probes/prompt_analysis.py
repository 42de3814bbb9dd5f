"""The probes of ``--probes``: routing, redundancy, prompt swaps, classifiers, other degradations,
routing at test.

docs/probes.md defines each quantity and its range. All are measured on the centre of test images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.config.run_specs import TestSet
from harness.data.parallel_map import OnProgress, no_progress
from harness.data.sources.protocol import TestPairs
from harness.evaluation.probes.classifier import classifier_decisions
from harness.evaluation.probes.observe import Observed, ObservedColumn, Observer
from harness.evaluation.probes.out_of_distribution import Kind, ood_tasks
from harness.evaluation.probes.pairs import centre_of, clean_images, ood_pair
from harness.evaluation.probes.prompt_swap import prompt_swap
from harness.evaluation.probes.routing import redundancy_at, routing_at
from harness.evaluation.probes.routing_variants import routing_variants
from harness.store.prompt_files import ROUTING_VARIANTS

SIDE_PX = 192
"""The centre of each image is probed, of at most this side."""

MOST_IMAGES = 24
"""At most so many images of a column are probed."""

MOST_VARIED = 10
"""At most so many of them are restored under variants of routing, which takes as many decodings as
there are variants."""

OnImage = Callable[[], None]
"""Is called after each image; may raise to stop."""


def analyse_prompts(
    observer: Observer,
    source: TestPairs,
    test: TestSet,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Return all probes of a prompted method on ``test`` as plain values.

    Args:
        observer: the method.
        source: makes the pairs of ``test``.
        test: columns and tasks.
        on_progress: receives how many images are probed, of how many.
    """
    count = _Count(on_progress, 2 * _images(source) + _ood_images(observer, test))
    columns = _observe_columns(observer, source, test, count.advance)
    unseen = _observe_ood(observer, source, test, count.advance)
    routing, redundancy = {}, {}
    for level in columns[0].levels:
        routing[level] = routing_at(level, columns)
        redundancy[level] = redundancy_at(level, observer.bank(level), columns)
    tasks = [task.name for task in test.tasks]
    result: dict[str, Any] = _plain(
        {
            "columns": [column.name for column in columns],
            "families": [column.family for column in columns],
            "images": {column.name: len(column.images) for column in columns},
            "input_db": [column.input_psnr_db for column in columns],
            "routing": routing,
            "redundancy": redundancy,
            "prompt_swap": prompt_swap(observer, columns, count.advance),
            "explicit": classifier_decisions(observer, columns, tasks),
            "out_of_distribution": [_of_ood(kind, column) for kind, column in unseen],
            ROUTING_VARIANTS: _routing_variants(observer, columns, unseen),
        }
    )
    return result


def with_routing_variants(
    stored: Mapping[str, Any],
    observer: Observer,
    source: TestPairs,
    test: TestSet,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Return an analysis that was stored without variants of routing together with those.

    Args:
        stored: the analysis, which stays as it is otherwise.
        observer: the method.
        source: makes the pairs of ``test``.
        test: columns and tasks.
        on_progress: receives how many images are probed, of how many.
    """
    count = _Count(on_progress, _images(source) + _ood_images(observer, test))
    columns = _observe_columns(observer, source, test, count.advance)
    unseen = _observe_ood(observer, source, test, count.advance)
    found = _plain(_routing_variants(observer, columns, unseen))
    return {**stored, ROUTING_VARIANTS: found}


@dataclass
class _Count:
    """Counts probed images.

    Attributes:
        report: receives how many images are probed, of how many.
        total: of how many.
        done: how many.
    """

    report: OnProgress
    total: int
    done: int = 0

    def advance(self) -> None:
        """Count one more."""
        self.done += 1
        self.report(self.done, self.total)


def _images(source: TestPairs) -> int:
    """Return how many test images are observed."""
    return sum(_counts(source).values())


def _counts(source: TestPairs) -> dict[str, int]:
    """Return how many images of each column are observed."""
    counts = Counter(column for column, _ in source.names())
    return {column: min(count, MOST_IMAGES) for column, count in counts.items()}


def _varied(count: int) -> list[int]:
    """Return which of ``count`` images are varied: spread evenly, to take in all clean images."""
    if count <= MOST_VARIED:
        return list(range(count))
    return [place * count // MOST_VARIED for place in range(MOST_VARIED)]


def _observe_columns(
    observer: Observer, source: TestPairs, test: TestSet, on_image: OnImage
) -> list[ObservedColumn]:
    """Observe the first images of each column that has any."""
    counts = _counts(source)
    observed: dict[str, list[Observed]] = {}
    for name, image in source.names():
        images = observed.setdefault(name, [])
        if len(images) < MOST_IMAGES:
            pair = centre_of(source.make(name, image), SIDE_PX)
            is_varied = len(images) in _varied(counts[name])
            images.append(observer.observe(pair, is_varied))
            on_image()
    family_of_task = {task.name: task.family for task in test.tasks}
    columns = []
    for column in test.columns:
        if column.name in observed:
            family = family_of_task[column.task]
            images = observed[column.name]
            columns.append(ObservedColumn(column.name, column.task, family, images))
    return columns


def _ood_images(observer: Observer, test: TestSet) -> int:
    """Return how many images are observed that are out of distribution."""
    if observer.needs_task_labels:
        return 0
    return len(list(ood_tasks(test.tasks))) * len(clean_images(test))


def _observe_ood(
    observer: Observer, source: TestPairs, test: TestSet, on_image: OnImage
) -> list[tuple[Kind, ObservedColumn]]:
    """Observe images under degradations that the setting's training never showed.

    Only clean images that are degraded here; none for a method that needs task labels.
    """
    if not _ood_images(observer, test):
        return []
    names = clean_images(test)
    found = []
    for kind, task in ood_tasks(test.tasks):
        images: list[Observed] = []
        for name in names:
            pair = ood_pair(source, test, task, name, SIDE_PX)
            images.append(observer.observe(pair, len(images) in _varied(len(names))))
            on_image()
        found.append((kind, ObservedColumn(task.name, task.name, task.family, images)))
    return found


def _of_ood(kind: Kind, column: ObservedColumn) -> dict[str, Any]:
    """Return how one degradation is routed and restored."""
    load = {level: column.expert_load(level).tolist() for level in column.levels}
    return {
        "kind": kind,
        "name": column.name,
        "input_db": column.input_psnr_db,
        "restored_db": column.psnr_db,
        "expert_load": load,
    }


def _routing_variants(
    observer: Observer,
    columns: Sequence[ObservedColumn],
    unseen: Sequence[tuple[Kind, ObservedColumn]],
) -> dict[str, Any]:
    """Return what other ways of routing do to all columns."""
    of_kinds: list[tuple[str, ObservedColumn]] = [("trained", column) for column in columns]
    varied = []
    for kind, column in (*of_kinds, *unseen):
        images = [column.images[place] for place in _varied(len(column.images))]
        varied.append((kind, replace(column, images=images)))
    return routing_variants(observer, varied)


def _plain(value: Any) -> Any:
    """Round floats, and turn what is not finite into None, throughout nested values."""
    if isinstance(value, dict):
        return {key: _plain(of_key) for key, of_key in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 5) if np.isfinite(value) else None
    return value
