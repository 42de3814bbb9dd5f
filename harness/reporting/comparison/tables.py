"""The tables of a comparison: pairs by column, and the images that differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.evaluation.metrics import MetricFacts
from harness.published.tables import AVERAGE, AVERAGE_HEADING
from harness.reporting.comparison.notes import comparison_details, pair_caption
from harness.reporting.comparison.pairs import Extreme, PairedColumn
from harness.reporting.comparison.values import CommonValues
from harness.reporting.statistics import Spread
from harness.reporting.table import MISSING, Table, grouped_table, metric_title, plain_table

FIELDS = (
    *("first", "second", "column", "metric", "first_mean", "second_mean", "difference", "low"),
    *("high", "spread", "win_rate", "p", "p_holm", "images", "clean_images", "seeds"),
    *("setting", "recipe", "preprocessing", "protocol"),
)
"""Columns of the CSV file and of the data frame."""

TOO_FEW = "too few"
"""The text in place of an interval of too few images or seeds."""


@dataclass(frozen=True)
class Shown:
    """What the tables of one comparison share.

    Attributes:
        common: the values.
        spread: what intervals are over.
        averages_only: whether of many methods the mean over columns alone is shown.
    """

    common: CommonValues
    spread: Spread
    averages_only: bool

    @property
    def labels(self) -> dict[str, str]:
        """Labels of methods by id."""
        return self.common.labels

    @property
    def column_labels(self) -> dict[str, str]:
        """Labels of columns by name, that of their mean too."""
        return {**self.common.column_labels, AVERAGE: AVERAGE_HEADING}


def pair_table(shown: Shown, tests: Sequence[PairedColumn], metric: MetricFacts) -> Table:
    """Return the table of all pairs in one metric, by column below the heading of each pair.

    Of many methods it shows the averages alone; its records hold all columns in any case.
    """
    is_one_pair = len(shown.common.candidates) == 2
    own, records = [], []
    groups: dict[str, list[list[str]]] = {}
    for test in tests:
        if test.metric != metric.id:
            continue
        own.append(test)
        records.append(_record(shown, test))
        if shown.averages_only and test.column != AVERAGE:
            continue
        pair = f"{shown.labels[test.first]} − {shown.labels[test.second]}"
        is_by_column = not (is_one_pair or shown.averages_only)
        label = pair if shown.averages_only else shown.column_labels[test.column]
        means = test.means if is_one_pair else ()
        line = [label, *map(f"{{:.{metric.decimals}f}}".format, means), *_pair_texts(test, metric)]
        groups.setdefault(pair if is_by_column else "", []).append(line)
    heads = ["Difference", "95% interval", "Wins", "p (Holm)", "Images"]
    if is_one_pair:
        heads = [*shown.labels.values(), *heads]
    setting = shown.common.request.setting
    plain = grouped_table(
        ["Pair (average)" if shown.averages_only else "Column", *heads],
        groups,
        pair_caption(shown.common, metric),
        f"comparison-{setting}-{metric.id.replace('_', '-').replace(':', '-')}",
    )
    return replace(
        plain,
        details=comparison_details(shown.common, own, metric, shown.spread),
        fields=FIELDS,
        records=records,
    )


def extremes_table(
    shown: Shown, found: Sequence[Extreme], metric: MetricFacts, pair: tuple[str, str]
) -> Table:
    """Return the images on which one pair differs most."""
    number = f"{{:.{metric.decimals}f}}".format
    lines = []
    for extreme in found:
        column = shown.column_labels[extreme.column]
        apart = f"{extreme.difference:+z.{metric.decimals}f}"
        lines.append([extreme.image, column, *map(number, extreme.values), apart])
    first, second = map(shown.labels.__getitem__, pair)
    caption = (
        f"Images on which {first} gains and loses most against {second}, {metric_title(metric)}"
        f"{', mean over seeds' if len(shown.common.seeds) > 1 else ''}."
    )
    name = f"comparison-images-{shown.common.request.setting}"
    return plain_table(["Image", "Column", first, second, "Difference"], lines, caption, name)


def _pair_texts(test: PairedColumn, metric: MetricFacts) -> list[str]:
    """Return difference, interval, wins, p and images of one pair."""
    wins = MISSING if test.win_rate is None else f"{test.win_rate:.0%}"
    counted = f"{test.images} ({test.clean_images})"
    images = counted if test.clean_images < test.images else str(test.images)
    return [*_delta(test, metric.decimals), wins, p_text(test.p_holm), images]


def _delta(test: PairedColumn, decimals: int) -> tuple[str, str]:
    """Return a difference and its interval."""
    delta = test.delta
    if delta is None:
        return MISSING, MISSING
    text = f"{delta.mean:+z.{decimals}f}"
    if delta.low is None or delta.high is None:
        return text, TOO_FEW
    return text, f"{delta.low:+z.{decimals}f} to {delta.high:+z.{decimals}f}"


def p_text(p: float | None) -> str:
    """Return a p value with three decimals."""
    if p is None:
        return MISSING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _record(shown: Shown, test: PairedColumn) -> Mapping[str, Any]:
    request, delta = shown.common.request, test.delta
    return {
        "first": test.first,
        "second": test.second,
        "column": test.column,
        "metric": test.metric,
        "first_mean": test.means[0],
        "second_mean": test.means[1],
        "difference": None if delta is None else delta.mean,
        "low": None if delta is None else delta.low,
        "high": None if delta is None else delta.high,
        "spread": shown.spread,
        "win_rate": test.win_rate,
        "p": test.p,
        "p_holm": test.p_holm,
        "images": test.images,
        "clean_images": test.clean_images,
        "seeds": len(shown.common.seeds),
        "setting": request.setting,
        "recipe": request.recipe,
        "preprocessing": request.preprocessing,
        "protocol": request.protocol,
    }
