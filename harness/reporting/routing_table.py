"""Variants of routing at test: what each costs on a setting's columns, and what it mends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.published.tables import AVERAGE
from harness.reporting.analysed_runs import AnalysedRun
from harness.reporting.routing_values import (
    TRAINED,
    UNSEEN,
    StoredColumn,
    VariantValues,
    columns_of,
    mean_of,
    variant_values,
)
from harness.reporting.table import MISSING, Table, grouped_table, plain_table
from harness.store.prompt_files import AS_TRAINED, ROUTING_VARIANTS

FIELDS = (
    *("run", "weights", "variant", "kind", "column", "images", "input_db", "psnr_db"),
    *("difference_db", "low_db", "high_db", "below_input", "rerouted", "confidence", "entropy"),
)
_HEADS = (
    *("Routing at test", "trained dB", "difference", "rerouted"),
    *("unseen dB", "difference", "rerouted", "below input"),
)
_NOTE = (
    "PSNR, mean over columns: those of the setting (trained), and degradations that training never "
    "showed (unseen). Difference: to the same weights routed as trained, paired by image; in "
    "brackets the 95% bootstrap interval over clean images, which of fewer than 10 is too narrow. "
    "Rerouted: images whose prompts have other weights than as trained. Below input: unseen "
    "columns that end worse than they were. Best prompt: the one under which an image is restored "
    "best, chosen with the clean image; where one router chooses for all levels, a bound on what "
    "the choice of one prompt can give."
)
_NOT_PROBED = "not probed: its analysis is of an older version, and its weights are not stored here"


def routing_table(runs: Sequence[AnalysedRun]) -> Table | None:
    """Return the summary of all runs; None where no run has variants."""
    if not any(_variants(run) for run in runs):
        return None
    groups, remarks = {}, []
    for run in runs:
        found = run.analysis.get(ROUTING_VARIANTS)
        if found is None:
            remarks.append(f"{run.label}: {_NOT_PROBED}.")
            continue
        if found["left_out"]:
            remarks.append(f"{run.label}: no other routing, as {found['left_out']}.")
        else:
            remarks.append(_confidence_sentence(run.label, found))
        groups[run.label] = _lines(found)
    table = grouped_table(_HEADS, groups, "Routing at test.", "routing-at-test")
    return replace(
        table,
        heading="Routing at test",
        details=_NOTE,
        remarks=tuple(remarks),
    )


def routing_columns(analysis: Mapping[str, Any]) -> Table | None:
    """Return all columns of one run; None where it has no variants."""
    found = analysis.get(ROUTING_VARIANTS)
    if not found or not found["variants"]:
        return None
    lines = []
    for column in found["columns"]:
        trained = mean_of(column["psnr_db"][AS_TRAINED])
        line = [f"{column['kind']}: {column['name']}", _number(mean_of(column["input_db"]))]
        line += [_number(trained), _number(confidence_of(column)), _number(entropy_of(column))]
        for name in found["variants"]:
            line.append(_signed(mean_of(column["psnr_db"][name]) - trained))
        lines.append(line)
    heads = ["column", "input dB", "as trained dB", "confidence", "entropy", *found["variants"]]
    return plain_table(heads, lines)


def confidence_of(column: StoredColumn) -> float:
    """Return the router's largest probability, mean over images and levels; NaN without one."""
    return mean_of(list(column["confidence"].values()))


def entropy_of(column: StoredColumn) -> float:
    """Return the entropy of the router's probabilities, 0 to 1, mean over images and levels."""
    return mean_of(list(column["entropy"].values()))


def routing_records(runs: Sequence[AnalysedRun]) -> list[dict[str, Any]]:
    """Return one record per run, variant and column under :data:`FIELDS`, averages last."""
    return list(_records(runs))


def _variants(run: AnalysedRun) -> list[str]:
    found = run.analysis.get(ROUTING_VARIANTS)
    variants: list[str] = found["variants"] if found else []
    return variants


def _lines(found: Mapping[str, Any]) -> list[list[str]]:
    trained, unseen = columns_of(found, TRAINED), columns_of(found, UNSEEN)
    inputs = ["degraded input", _number(variant_values(trained, AS_TRAINED).input_db)]
    inputs += [MISSING, MISSING, _number(variant_values(unseen, AS_TRAINED).input_db)]
    lines = [[*inputs, MISSING, MISSING, MISSING]]
    for name in (AS_TRAINED, *found["variants"]):
        seen, of_unseen = variant_values(trained, name), variant_values(unseen, name)
        line = [name, *_texts(seen, name), *_texts(of_unseen, name)]
        below = f"{of_unseen.below_input} of {of_unseen.columns}" if unseen else MISSING
        lines.append([*line, below])
    return lines


def _confidence_sentence(label: str, found: Mapping[str, Any]) -> str:
    """Return how sure the routers are of trained columns and of unseen ones."""
    parts = []
    for words, kinds in (("trained columns", TRAINED), ("unseen ones", UNSEEN)):
        columns = columns_of(found, kinds)
        if columns:
            confidence = _number(mean_of(list(map(confidence_of, columns))))
            entropy = _number(mean_of(list(map(entropy_of, columns))))
            parts.append(f"{confidence} on {words} (entropy {entropy})")
    return f"{label}: the router's largest probability is {' and '.join(parts)}."


def _texts(values: VariantValues, name: str) -> list[str]:
    """Return PSNR, difference and how many images are rerouted."""
    difference = MISSING if values.delta is None else values.delta.text(2)
    is_varied = values.images and name != AS_TRAINED
    rerouted = f"{values.rerouted} of {values.images}" if is_varied else MISSING
    return [_number(values.psnr_db), difference, rerouted]


def _records(runs: Sequence[AnalysedRun]) -> Iterator[dict[str, Any]]:
    for run in runs:
        found = run.analysis.get(ROUTING_VARIANTS)
        if found is None:
            continue
        parts = [(column["kind"], column["name"], [column]) for column in found["columns"]]
        for kind, kinds in (("trained", TRAINED), ("unseen", UNSEEN)):
            columns = columns_of(found, kinds)
            if columns:
                parts.append((kind, AVERAGE, columns))
        for name in (AS_TRAINED, *found["variants"]):
            for kind, column, columns in parts:
                where = {"variant": name, "kind": kind, "column": column}
                of_run = {"run": run.name, "weights": run.weights_id}
                yield {**of_run, **where, **_values(columns, name)}


def _values(columns: Sequence[StoredColumn], name: str) -> dict[str, Any]:
    values = variant_values(columns, name)
    delta = values.delta
    return {
        "images": values.images,
        "input_db": _known(values.input_db),
        "psnr_db": _known(values.psnr_db),
        "difference_db": None if delta is None else delta.mean,
        "low_db": None if delta is None else delta.low,
        "high_db": None if delta is None else delta.high,
        "below_input": values.below_input,
        "rerouted": values.rerouted,
        "confidence": _known(mean_of([confidence_of(column) for column in columns])),
        "entropy": _known(mean_of([entropy_of(column) for column in columns])),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else MISSING


def _signed(value: float) -> str:
    return f"{value:+z.2f}" if math.isfinite(value) else MISSING
