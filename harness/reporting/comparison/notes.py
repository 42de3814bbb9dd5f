"""The sentences below a comparison: what each number is, of how much, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.evaluation.metrics import MetricFacts
from harness.published.tables import AVERAGE
from harness.reporting.comparison.pairs import PairedColumn, has_interval
from harness.reporting.comparison.values import CommonValues
from harness.reporting.statistics import FEWEST, Spread
from harness.reporting.table import metric_title

_FEW = 10
"""Images, or seeds, below which percentile intervals are said to be too narrow."""

_FEWEST_FOR_P = 6
"""Differences of one sign whose p is below 0.05; of five it is 0.0625."""

_MOST_NAMES = 5


def pair_caption(common: CommonValues, metric: MetricFacts) -> str:
    """Return what is compared."""
    title = common.request.title.partition(":")[0]
    if len(common.candidates) == 2:
        what = " against ".join(common.labels.values())
    else:
        what = f"{len(common.candidates)} methods in pairs"
    return f"{title}. {what} image by image, {metric_title(metric)}, {common.request.images_are}."


def comparison_details(
    common: CommonValues, tests: Sequence[PairedColumn], metric: MetricFacts, spread: Spread
) -> str:
    """Return how the numbers of one metric came about, and how far they reach.

    What holds for all metrics is said below the first.
    """
    first = common.request.metrics[0]
    if metric != first:
        said = _difference_sentence(common, metric)
        return f"{said} All else is as said of {first.label}."
    sentences = [
        _difference_sentence(common, metric),
        _interval_sentence(common, tests, spread),
        "Wins: share of images on which the first is better; a tie is half a win.",
        _test_sentence(tests),
        _images_sentence(common),
        _average_sentence(common),
        _rules_sentence(common),
    ]
    return " ".join(filter(None, sentences))


def not_finite_notes(common: CommonValues) -> list[str]:
    """Return one sentence per method and metric with values that are not finite."""
    notes = []
    for metric in common.request.metrics:
        for candidate, values in zip(common.candidates, common.by_metric[metric.id], strict=True):
            bad = np.flatnonzero(~np.isfinite(values).all(axis=0))
            if not len(bad):
                continue
            images = map(common.images.__getitem__, bad[:_MOST_NAMES])
            names = list(map(" ".join, images))
            more = f" and {len(bad) - len(names)} more" if len(bad) > len(names) else ""
            notes.append(
                f"{candidate.label}, {metric.label}: not finite on {', '.join(names)}{more}; "
                "no mean difference of those columns, and wins, p and ranks by order alone"
            )
    return notes


def _difference_sentence(common: CommonValues, metric: MetricFacts) -> str:
    """Return what a difference is."""
    over = "images and seeds" if len(common.seeds) > 1 else "images"
    worse = "" if metric.higher_is_better else f"; less {metric.label} is better"
    return f"Difference: first minus second, each the mean over {over}{worse}."


def _interval_sentence(common: CommonValues, tests: Sequence[PairedColumn], spread: Spread) -> str:
    seeds = len(common.seeds)
    fewest = min(test.clean_images for test in tests)
    is_told = list(map(has_interval, tests))
    parts = []
    if "seeds" in spread:
        parts.append(f"{seeds} seed{'s' if seeds > 1 else ''}")
    if "images" in spread:
        most = max(test.clean_images for test in tests if test.column != AVERAGE)
        many = str(most) if most == fewest else f"{fewest} to {most}"
        parts.append(f"{many} clean image{'s' if most > 1 else ''} per column")
    over = f"over {spread} ({', '.join(parts)})"
    if not any(is_told):
        return f"No interval {over}: it takes {_needed(spread)}."
    text = f"Interval: paired percentile bootstrap {over}"
    if spread == "images":
        text += ", for these trainings"
    if spread == "seeds":
        text += ", for these images"
    if not all(is_told):
        text += f"; it takes {_needed(spread)}"
    has_few_seeds = "seeds" in spread and seeds < _FEW
    if has_few_seeds or ("images" in spread and fewest < _FEW):
        text += f"; of fewer than {_FEW} images or seeds it is too narrow"
    return f"{text}."


def _needed(spread: Spread) -> str:
    if spread == "seeds and images":
        return f"at least two seeds and {FEWEST} clean images in every column"
    return f"at least {FEWEST} {'seeds' if spread == 'seeds' else 'clean images in every column'}"


def _test_sentence(tests: Sequence[PairedColumn]) -> str:
    known = [test for test in tests if test.p is not None]
    averages = sum(test.column == AVERAGE for test in known)
    columns = len(known) - averages
    families = [f"{averages} of the average"] if averages else []
    families.append(f"{columns} of columns")
    text = (
        "p: Wilcoxon's signed rank test, of the average a permutation test of signs, over clean "
        "images, of means over seeds and degradations, after Holm's correction over "
        f"{' and over '.join(families)}"
    )
    if any(test.clean_images < _FEWEST_FOR_P for test in known):
        text += f"; of fewer than {_FEWEST_FOR_P} images it is never below 0.05"
    return f"{text}."


def _images_sentence(common: CommonValues) -> str:
    """Return how many images and seeds are compared, and what was left out for whom."""
    clean = {name for _, name in common.clean_images}
    text = f"Compared: {len(common.images)} images of {len(clean)} clean ones"
    left_out = common.expected - len(common.images)
    if left_out:
        labels = common.labels
        lacking = [f"{labels[name]} lacks {count}" for name, count in common.lacking.items()]
        text += f"; {left_out} left out, which not all have ({', '.join(lacking)})"
    if common.other_seeds:
        text += f"; seed {', '.join(map(str, common.other_seeds))} left out, which not all have"
    return f"{text}."


def _average_sentence(common: CommonValues) -> str:
    if common.is_whole:
        left_out = ", ".join(common.request.left_out)
        return f"Average: mean of the columns{f' shown, without {left_out}' if left_out else ''}."
    labels = common.column_labels
    for column in common.columns:
        del labels[column]
    return (
        f"Average: none, for {', '.join(labels.values())} cannot be compared "
        f"(--columns {','.join(common.columns)} averages the others)."
    )


def _rules_sentence(common: CommonValues) -> str:
    request = common.request
    seeds = ", ".join(map(str, common.seeds))
    return (
        f"Setting {request.setting}; recipe {request.recipe}; protocol {request.protocol}, "
        f"preprocessing {request.preprocessing}; seed{'s' if len(common.seeds) > 1 else ''} "
        f"{seeds}."
    )
