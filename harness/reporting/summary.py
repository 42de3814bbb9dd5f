"""From rows to the numbers of a table: means, spreads, counts and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import pandas as pd

from harness.config.errors import HarnessError
from harness.config.settings import Column
from harness.evaluation.metrics.registry import Metric
from harness.store.results import Result

AVERAGE = "average"


@dataclass(frozen=True)
class MethodLine:
    """One method of a table; a ``reference`` is shown and never ranked; notes are footnotes."""

    id: str
    label: str
    reference: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableRequest:
    """What a table shows, and what it stands on.

    ``images`` maps each column to the images that a complete value needs; ``centre_px`` is the
    side of what was cut from their centre, None for whole images; ``absent`` maps columns to the
    data sets that would fill them and are not there; ``training`` says in a sentence what was
    trained on, where that is not the twin.
    """

    title: str
    setting: str
    dataset: str
    preprocessing: str
    protocol: str
    recipe: str
    columns: tuple[Column, ...]
    metrics: tuple[Metric, ...]
    methods: tuple[MethodLine, ...]
    seeds: tuple[int, ...]
    images: Mapping[str, Sequence[str]]
    centre_px: int | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    training: str = ""


@dataclass(frozen=True)
class Entry:
    """One value: mean over seeds of means over images.

    ``spread`` is the sample standard deviation over seeds, None with one seed; ``rank`` is 1
    or 2 for the best and the second, else None; ``scored`` of ``expected`` images and seeds.
    """

    value: float
    spread: float | None
    seeds: int
    scored: int
    expected: int
    rank: int | None = None

    @property
    def complete(self) -> bool:
        """Tell whether every expected image was scored."""
        return self.scored == self.expected


@dataclass(frozen=True)
class Table:
    """All entries of a request; a missing value is an absent key."""

    request: TableRequest
    entries: Mapping[tuple[str, str, str], Entry]

    def entry(self, method: str, column: str, metric: str) -> Entry | None:
        """Return the entry of method id, column name or ``average``, and metric id."""
        return self.entries.get((method, column, metric))


def summarise(rows: Sequence[Result], request: TableRequest) -> Table:
    """Compute a table from ``rows``; those of other methods, columns or metrics are left out.

    Raises:
        HarnessError: rows of one value were made or scored under two rules, or one image has
            two different values.
    """
    entries: dict[tuple[str, str, str], Entry] = {}
    frame = _frame(rows, request)
    by_value = dict(tuple(frame.groupby(["method", "column", "metric"]))) if len(frame) else {}
    for line in request.methods:
        seeds = 1 if _untrained(frame, line.id) else len(request.seeds)
        for metric in request.metrics:
            for column in request.columns:
                part = by_value.get((line.id, column.name, metric.id))
                if part is not None:
                    expected = len(request.images[column.name]) * seeds
                    entries[line.id, column.name, metric.id] = _entry(part, expected)
            average = _average(frame, line.id, metric.id, request, entries)
            if average is not None:
                entries[line.id, AVERAGE, metric.id] = average
    return Table(request, _ranked(entries, request))


def _frame(rows: Sequence[Result], request: TableRequest) -> pd.DataFrame:
    methods = {line.id for line in request.methods}
    metrics = {metric.id for metric in request.metrics}
    wanted = [
        asdict(row)
        for row in rows
        if row.method in methods
        and row.metric in metrics
        and row.column in request.images
        and row.image in request.images[row.column]
        and row.setting == request.setting
    ]
    frame = pd.DataFrame(wanted)
    if frame.empty:
        return frame
    for key, one in (
        ("preprocessing", request.preprocessing),
        ("protocol", request.protocol),
        ("dataset", request.dataset),
    ):
        others = set(frame[key]) - {one}
        if others:
            raise HarnessError(
                f"rows of {key} '{sorted(others)[0]}' stand among those of '{one}'; a table never "
                "mixes two, so ask for one of them"
            )
    identity = ["method", "seed", "column", "image", "metric"]
    frame = frame.drop_duplicates([*identity, "value"])
    twice = frame[frame.duplicated(identity)]
    if not twice.empty:
        first = twice.iloc[0]
        raise HarnessError(
            f"{first['method']} seed {first['seed']} has two values of {first['metric']} on "
            f"{first['image']} of column {first['column']}; rows of two trainings are mixed"
        )
    return frame


def _untrained(frame: pd.DataFrame, method: str) -> bool:
    """Tell whether a method has one seed whatever was asked: there was nothing to train."""
    return len(frame) > 0 and set(frame.loc[frame["method"] == method, "seed"]) == {0}


def _entry(part: pd.DataFrame, expected: int) -> Entry:
    means = part.groupby("seed")["value"].mean()
    return Entry(
        value=float(means.mean()),
        spread=float(means.std(ddof=1)) if len(means) > 1 else None,
        seeds=len(means),
        scored=len(part),
        expected=max(expected, len(part)),
    )


def _average(
    frame: pd.DataFrame,
    method: str,
    metric: str,
    request: TableRequest,
    entries: Mapping[tuple[str, str, str], Entry],
) -> Entry | None:
    """Return the plain mean of the columns; absent if one is missing or incomplete."""
    parts = [entries.get((method, column.name, metric)) for column in request.columns]
    if any(part is None or not part.complete for part in parts):
        return None
    own = frame[(frame["method"] == method) & (frame["metric"] == metric)]
    per_seed = own.groupby(["seed", "column"])["value"].mean().groupby("seed").mean()
    known = [part for part in parts if part is not None]
    return Entry(
        value=float(per_seed.mean()),
        spread=float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None,
        seeds=len(per_seed),
        scored=sum(part.scored for part in known),
        expected=sum(part.expected for part in known),
    )


def _ranked(
    entries: Mapping[tuple[str, str, str], Entry], request: TableRequest
) -> dict[tuple[str, str, str], Entry]:
    """Mark best and second among methods that are ranked; equal shown digits share a rank."""
    ranked = dict(entries)
    methods = [line.id for line in request.methods if not line.reference]
    for metric in request.metrics:
        for column in [*(c.name for c in request.columns), AVERAGE]:
            found = {
                m: ranked[m, column, metric.id] for m in methods if (m, column, metric.id) in ranked
            }
            shown = {m: round(e.value, metric.decimals) for m, e in found.items() if e.complete}
            if len(shown) < 2:
                continue
            order = sorted(set(shown.values()), reverse=metric.higher_is_better)
            for method, value in shown.items():
                rank = order.index(value) + 1
                # Two bests leave no second.
                tied_best = rank == 2 and list(shown.values()).count(order[0]) > 1
                if rank <= 2 and not tied_best:
                    entry = ranked[method, column, metric.id]
                    ranked[method, column, metric.id] = Entry(**{**vars(entry), "rank": rank})
    return ranked
