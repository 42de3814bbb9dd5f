"""What of a plan is stored, and the time that the rest will take."""

from __future__ import annotations

from typing import Any, Literal

from harness.data.pairs import pair_names
from harness.plan import Cell, Plan
from harness.spec import spec_hash
from harness.store.files import read_json
from harness.store.rows import Row, read

Status = Literal["cached", "to score", "unfinished", "missing"]

_SCORE_S = 0.5
"""Rough time to restore and score one image with a small network."""


def expected_images(plan: Plan) -> dict[str, list[str]]:
    """Return column -> names of the images that a complete row of the table stands on."""
    test = next(cell.score.test for cell in plan.cells if cell.score is not None)
    images: dict[str, list[str]] = {column.name: [] for column in test.columns}
    for files in test.files:
        images[files.column] += files.images
    for column, image in pair_names(test.columns, [p.name for p in test.photographs]):
        images[column].append(image)
    return images


def stored_rows(cell: Cell) -> list[Row]:
    """Return the rows of ``cell`` under its own score, from its folder."""
    if cell.score is None or not cell.folder.rows.exists():
        return []
    score_id = spec_hash(cell.score)
    return [row for row in read([cell.folder.rows]) if row.score == score_id]


def stored_probes(cell: Cell) -> dict[str, Any] | None:
    """Return what ``--probes`` stored of ``cell`` on its test set, {} for one without prompts."""
    if cell.score is None or not cell.folder.full_probes.exists():
        return None
    found: dict[str, Any] | None = read_json(cell.folder.full_probes).get(spec_hash(cell.score))
    return found


def status(cell: Cell, plan: Plan) -> Status:
    """Return what of ``cell`` is stored; one whose scores are all there needs no weights."""
    trained = cell.folder.weights.exists() or not cell.choice.card.trained
    if cell.score is not None and _scored(cell, plan):
        return "cached"
    if not trained:
        return "unfinished" if cell.folder.checkpoint.exists() else "missing"
    return "cached" if cell.score is None else "to score"


def _scored(cell: Cell, plan: Plan) -> bool:
    have = {(row.column, row.image, row.metric) for row in stored_rows(cell)}
    complete = all(
        (column, image, metric_id(name)) in have
        for column, images in expected_images(plan).items()
        for image in images
        for name in plan.metrics
    )
    if plan.outside:
        return complete
    probed = cell.folder.probes.exists() and (not plan.probes or stored_probes(cell) is not None)
    return complete and probed


def metric_id(name: str) -> str:
    """Return the id under which a metric's rows are stored; pyiqa's carry a prefix."""
    from harness.evaluation.metrics import METRICS

    return name if name in METRICS or name.startswith("pyiqa:") else f"pyiqa:{name}"


def estimated_s(cell: Cell, plan: Plan) -> float:
    """Return a rough time for what of ``cell`` is missing, from the recipe's measured step."""
    state = status(cell, plan)
    if state == "cached":
        return 0.0
    training = 0.0
    if cell.spec.train is not None and state in ("missing", "unfinished"):
        card = cell.choice.card
        factor = 1.0 if card.cost is None else card.cost(cell.spec.options)
        step_s = plan.recipe.operation.expected_step_s * card.relative_cost * factor
        training = cell.spec.train.steps * step_s
    images = 0 if cell.score is None else sum(len(i) for i in expected_images(plan).values())
    return training + _SCORE_S * images
