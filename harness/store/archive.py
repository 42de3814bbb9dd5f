"""Stored results as files for a repository: rows as CSV, and what made them as JSON.

``rows.csv`` holds one line per value, ``runs/`` one file per run: its spec, the record of its
training, and its probes. Weights are not part of it: a run taken from there is done as far as it
was scored.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from io import StringIO
from pathlib import Path
from typing import Any

from harness.config.errors import UsageError
from harness.config.hashing import spec_hash
from harness.config.run_specs import TrainSpec
from harness.execution.status import stored_rows
from harness.planning.plan import Plan, Run
from harness.store.files import read_json, write_json, write_text
from harness.store.results import Result, append

_FIELDS = [field.name for field in fields(Result)]


def export(plan: Plan, folder: Path) -> int:
    """Write what is stored of ``plan`` to ``folder``, beside what is there; return runs written.

    Raises:
        UsageError: nothing is stored.
    """
    runs = [run for run in plan.runs if stored_rows(run)]
    if not runs:
        raise UsageError(f"nothing of this plan is stored, so {folder} gets nothing")
    own = {run.weights_id for run in runs}
    kept = [row for row in _read_rows(folder) if row.weights not in own]
    rows = [row for run in runs for row in stored_rows(run)]
    stream = StringIO()
    writer = csv.DictWriter(stream, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for row in sorted([*kept, *rows], key=_place):
        # Six decimals: a millionth of a decibel.
        writer.writerow({**asdict(row), "value": f"{row.value:.6f}"})
    write_text(folder / "rows.csv", stream.getvalue())
    for run in runs:
        write_json(folder / "runs" / f"{run.folder.path.name}.json", _content(run))
    return len(runs)


def take(plan: Plan, folder: Path) -> int:
    """Put what ``folder`` holds of ``plan``'s runs where the plan looks; return runs taken.

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
    by_weights: dict[str, list[Result]] = {}
    for row in _read_rows(export):
        by_weights.setdefault(row.weights, []).append(row)
    taken = 0
    for run in plan.runs:
        if stored_rows(run) or run.weights_id not in by_weights:
            continue
        path = export / "runs" / f"{run.folder.path.name}.json"
        content = read_json(path)
        if spec_hash(TrainSpec.model_validate(content["spec"])) != run.weights_id:
            raise UsageError(f"{path} does not hold what its name says; restore it from its source")
        run.folder.path.mkdir(parents=True, exist_ok=True)
        run.folder.write_spec(run.train)
        for name, target in _parts(run).items():
            if name in content:
                write_json(target, content[name])
        append(run.folder.rows, by_weights[run.weights_id])
        taken += 1
    return taken


def _place(row: Result) -> tuple[str, int, str, str, str]:
    return row.method, row.seed, row.column, row.image, row.metric


def _content(run: Run) -> dict[str, Any]:
    found = {name: read_json(path) for name, path in _parts(run).items() if path.exists()}
    return {"spec": run.train.model_dump(mode="json"), **found}


def _parts(run: Run) -> dict[str, Path]:
    folder = run.folder
    return {"record": folder.record, "probes": folder.probes, "full_probes": folder.full_probes}


def _read_rows(folder: Path) -> Sequence[Result]:
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
            return [Result(**line) for line in lines]
        except (TypeError, ValueError) as error:
            raise UsageError(f"{path} holds a line that is no row: {error}") from error
