"""The methods of a search side by side: what each reached, and what the same points gave both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from harness.planning.tuning import Trial, Tuning
from harness.reporting.statistics import Difference, difference, has_enough, pair_differences
from harness.reporting.table import MISSING, plain_table
from harness.reporting.table_report import TableReport
from harness.reporting.tuning_table import (
    TuningTable,
    search_identity,
    search_label,
    tuning_stem,
)

_FIELDS = ("method", "trials", "best_db", "own_db", "median_db", "shared_points", "ahead")
_DIFFERENCE_FIELDS = ("difference_db", "difference_low_db", "difference_high_db")


def tuning_summary(tuning: Tuning, tables: Sequence[TuningTable]) -> TableReport:
    """Return a table with a line per method, compared with the first of ``tables``.

    Trials of two methods are a pair where their rate, decay, patch and warm-up are the same; the
    options that one of them has alone differ from pair to pair.

    Args:
        tuning: the searches.
        tables: one per method, in the order of the searches.
    """
    first, label = tables[0], search_label(tuning, tuning.searches[0])
    heads = ["Method", "Trials", "Best (dB)", "Own values (dB)", "Median (dB)"]
    heads += [f"Ahead of {label}", "Difference (dB)"]
    lines, records = [], []
    for search, found in zip(tuning.searches, tables, strict=True):
        differences = [] if found is first else _differences(found, first)
        mean = _mean(differences)
        values_db, ahead = _by_trial(found), sum(value > 0 for value in differences)
        known: list[float | None] = [None, None, None]
        if values_db:
            known = [max(values_db.values()), values_db.get(0), median(values_db.values())]
        shown = [MISSING if value is None else f"{value:.2f}" for value in known]
        pairs = f"{ahead} of {len(differences)}" if differences else MISSING
        counted = f"{len(values_db)} of {len(search.trials)}"
        text = MISSING if mean is None else mean.text(2)
        lines.append([search_label(tuning, search), counted, *shown, pairs, text])
        numbers = [len(values_db), *known, len(differences), ahead]
        records.append(_record(search.method.id, numbers, mean))
    table = plain_table(heads, lines, _caption(label, first), "tuning-summary")
    whole = replace(table, fields=(*_FIELDS, *_DIFFERENCE_FIELDS), records=tuple(records))
    identity = search_identity(tuning.plan.runs)
    return TableReport(whole, tuning_stem(tuning), identity=identity)


def _by_trial(table: TuningTable) -> dict[int, float]:
    """Return the values of the trials that have one, by number."""
    found = {}
    for result in table.results:
        if result.validation_db is not None:
            found[result.trial.number] = result.validation_db
    return found


def _differences(table: TuningTable, first: TuningTable) -> list[float]:
    base = _by_point(first)
    return [value - base[point] for point, value in _by_point(table).items() if point in base]


def _by_point(table: TuningTable) -> dict[tuple[tuple[str, Any], ...], float]:
    """Return the values of the trials that have one, by what all methods search.

    A point of several trials, where that is fixed, is left out: none of them is the other's pair.
    """
    points = Counter(_point(result.trial) for result in table.results)
    found = {}
    for result in table.results:
        point = _point(result.trial)
        if result.validation_db is not None and points[point] == 1:
            found[point] = result.validation_db
    return found


def _point(trial: Trial) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(trial.training.items()))


def _mean(differences: Sequence[float]) -> Difference | None:
    """Return the mean difference, with an interval over points where there are enough."""
    if not differences:
        return None
    points = [("", str(number)) for number in range(len(differences))]
    paired = pair_differences(np.array([differences]), points)
    if has_enough(paired, "images"):
        return difference(paired, "images")
    return Difference(float(np.mean(differences)), None, None)


def _record(
    method: str, numbers: Sequence[float | None], found: Difference | None
) -> Mapping[str, Any]:
    interval = (None, None, None) if found is None else (found.mean, found.low, found.high)
    values = ["" if value is None else value for value in (*numbers, *interval)]
    return dict(zip((*_FIELDS, *_DIFFERENCE_FIELDS), [method, *values], strict=True))


def _caption(label: str, first: TuningTable) -> str:
    count = len(first.results)
    return (
        f"The searches side by side: mean PSNR (dB) over tasks on validation images, of the best "
        f"of {count} trials, of trial 0 (the recipe's and the method's own values), and of the "
        f"median trial. Difference from {label}: mean over trials with the same rate, decay, patch "
        "and warm-up, in brackets its 95% bootstrap interval over these points. The best of many "
        "trials is too high by its luck."
    )
