"""Stored results as files for a repository: rows as CSV, and what made them as JSON.

``rows.csv`` holds one line per value, ``cells/`` one file per cell: its spec, the record of its
training, and its probes. Weights are not part of it: a cell taken from there is done as far as it
was scored.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from io import StringIO
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.plan import Cell, Plan
from harness.spec import TrainSpec, spec_hash
from harness.store.files import read_json, write_json, write_text
from harness.store.rows import Row, append
from harness.stored import stored_rows

_FIELDS = [field.name for field in fields(Row)]


def export(plan: Plan, folder: Path) -> int:
    """Write what is stored of ``plan`` to ``folder``, beside what is there; return cells written.

    Raises:
        UsageError: nothing is stored.
    """
    cells = [cell for cell in plan.cells if stored_rows(cell)]
    if not cells:
        raise UsageError(f"nothing of this plan is stored, so {folder} gets nothing")
    own = {cell.weights_id for cell in cells}
    kept = [row for row in _read_rows(folder) if row.weights not in own]
    rows = [row for cell in cells for row in stored_rows(cell)]
    stream = StringIO()
    writer = csv.DictWriter(stream, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in sorted([*kept, *rows], key=_place):
        # Six decimals: a millionth of a decibel.
        writer.writerow({**asdict(row), "value": f"{row.value:.6f}"})
    write_text(folder / "rows.csv", stream.getvalue())
    for cell in cells:
        write_json(folder / "cells" / f"{cell.folder.path.name}.json", _content(cell))
    return len(cells)


def take(plan: Plan, folder: Path) -> int:
    """Put what ``folder`` holds of ``plan``'s cells where the plan looks; return cells taken.

    ``folder`` is one that :func:`export` wrote, or holds several such. Cells that have scores
    already keep their own.

    Raises:
        UsageError: the folder holds no exported results.
        HarnessError: a file of it is damaged.
    """
    exports = [path.parent for path in (folder / "rows.csv", *sorted(folder.glob("*/rows.csv")))]
    exports = [path for path in exports if (path / "rows.csv").is_file()]
    if not exports:
        raise UsageError(f"--from {folder}: no rows.csv there; write one with run --export FOLDER")
    return sum(_take(plan, export) for export in exports)


def _take(plan: Plan, export: Path) -> int:
    by_weights: dict[str, list[Row]] = {}
    for row in _read_rows(export):
        by_weights.setdefault(row.weights, []).append(row)
    taken = 0
    for cell in plan.cells:
        if stored_rows(cell) or cell.weights_id not in by_weights:
            continue
        path = export / "cells" / f"{cell.folder.path.name}.json"
        content = read_json(path)
        if spec_hash(TrainSpec.model_validate(content["spec"])) != cell.weights_id:
            raise UsageError(f"{path} does not hold what its name says; restore it from its source")
        cell.folder.path.mkdir(parents=True, exist_ok=True)
        cell.folder.write_spec(cell.spec)
        for name, target in _parts(cell).items():
            if name in content:
                write_json(target, content[name])
        append(cell.folder.rows, by_weights[cell.weights_id])
        taken += 1
    return taken


def _place(row: Row) -> tuple[str, int, str, str, str]:
    return row.method, row.seed, row.column, row.image, row.metric


def _content(cell: Cell) -> dict[str, Any]:
    found = {name: read_json(path) for name, path in _parts(cell).items() if path.exists()}
    return {"spec": cell.spec.model_dump(mode="json"), **found}


def _parts(cell: Cell) -> dict[str, Path]:
    folder = cell.folder
    return {"record": folder.record, "probes": folder.probes, "full_probes": folder.full_probes}


def _read_rows(folder: Path) -> Sequence[Row]:
    path = folder / "rows.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != _FIELDS:
            raise UsageError(f"{path} does not have the columns {', '.join(_FIELDS)}")
        try:
            lines: list[dict[str, Any]] = [
                {**line, "seed": int(line["seed"]), "value": float(line["value"])}
                for line in reader
            ]
            return [Row(**line) for line in lines]
        except (TypeError, ValueError) as error:
            raise UsageError(f"{path} holds a line that is no row: {error}") from error
