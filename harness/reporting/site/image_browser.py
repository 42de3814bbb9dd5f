"""The data of the per-image browser, and the images below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from harness.config.quoting import quoted_file_name
from harness.config.settings import Column
from harness.evaluation.metrics import MetricFacts, metric_facts
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.reporting.site.cases import Case, cases_of, shown_runs
from harness.reporting.site.folder import SiteFolder
from harness.reporting.site.overview import PlanSources
from harness.reporting.site.pictures import size_px, thumbnail
from harness.reporting.wording import worded_column, worded_metric
from harness.store.image_files import (
    TestImageKind,
    id_of_test_set,
    restored_path,
    test_image_path,
)

PathOf = Callable[[str, str], Path]
"""Returns where the image of a column and an image's name is kept; there need be no file."""

OnImage = Callable[[int, int], None]
"""Receives how many images were written, and how many there are."""


@dataclass(frozen=True)
class _Picture:
    """A kind of image that can be looked at.

    ``folder`` is where it lies below the site; ``path`` finds it by column and image.
    """

    folder: str
    path: PathOf


def browser_data(
    plan: Plan, site: SiteFolder, sources: PlanSources, on_image: OnImage
) -> dict[str, Any]:
    """Put images below the site, and return what the browser shows.

    Names are in lists and never keys, since a page must not mistake one for its own.
    """
    runs = shown_runs(plan)
    metrics = [worded_metric(plan.request, metric_facts(name)) for name in plan.metrics]
    cases = cases_of(plan)
    pictures = _pictures(runs)
    places = {column.name: place for place, column in enumerate(plan.shown_columns)}
    rows = []
    for done, case in enumerate(cases, start=1):
        present = _put(case, pictures, site)
        row = _case_row(case, places[case.column], runs, metrics, present)
        rows.append([*row, _put_thumbnail(case, pictures[present[0]], site) if present else None])
        on_image(done, len(cases))
    return {
        "columns": _columns(plan, sources),
        "metrics": [_metric(metric) for metric in metrics],
        "sources": _source_rows(runs, sources),
        "scoring": sources.scoring,
        "cases": rows,
        "seed": str(plan.seeds[0]),
    }


def _pictures(runs: Sequence[Run]) -> list[_Picture]:
    """Return the degraded input, the ground truth, and the restored images, in this order."""
    first = runs[0]
    assert first.score is not None, "runs of a table are scored"
    # Ids are hashes of all that is scored, so they are made once and not for every image.
    out, test_id = first.folder.path.parent, id_of_test_set(first.score.test)
    found = []
    for kind in get_args(TestImageKind):
        path = partial(test_image_path, out, test_id, kind=kind)
        found.append(_Picture(f"images/{kind}", path))
    for run in _restoring(runs):
        found.append(_Picture(_folder(run), _restored_of(run)))
    return found


def _restored_of(run: Run) -> PathOf:
    score_id = run.score_id
    assert score_id is not None, "runs of a table are scored"
    return partial(restored_path, run.folder, score_id)


def _restoring(runs: Sequence[Run]) -> list[Run]:
    """Return the runs whose images differ from the input."""
    return [run for run in runs if not run.method.spec.is_input]


def _folder(run: Run) -> str:
    return f"images/restored/{quoted_file_name(run.id)}"


def _put(case: Case, pictures: Sequence[_Picture], site: SiteFolder) -> list[int]:
    """Put what is kept of a case below the site, and return which pictures these are."""
    present = []
    name = f"{quoted_file_name(case.column)}/{quoted_file_name(case.image)}.png"
    for place, picture in enumerate(pictures):
        path = picture.path(case.column, case.image)
        if path.is_file():
            site.copy(path, f"{picture.folder}/{name}")
            present.append(place)
    return present


def _put_thumbnail(case: Case, picture: _Picture, site: SiteFolder) -> tuple[int, int]:
    """Put a small image below the site, and return the size of the whole one."""
    name = f"images/small/{quoted_file_name(case.column)}/{quoted_file_name(case.image)}.webp"
    path = picture.path(case.column, case.image)
    site.make(path, name, thumbnail)
    return size_px(path)


def _case_row(
    case: Case,
    column: int,
    runs: Sequence[Run],
    metrics: Sequence[MetricFacts],
    present: Sequence[int],
) -> list[Any]:
    """Return a case as the page reads it.

    Column, name, name of the files, pictures that are there, and the values by method and metric.
    """
    values: list[Any] = []
    for run in runs:
        of_run = []
        for metric in metrics:
            value = case.values.get((run.method.id, metric.id))
            of_run.append(None if value is None else round(value, metric.decimals + 2))
        values.append(of_run)
    return [column, case.image, quote(quoted_file_name(case.image)), list(present), values]


def _columns(plan: Plan, sources: PlanSources) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    columns = [worded_column(plan.request, column) for column in plan.shown_columns]
    for column in columns:
        found.append(
            {
                "name": column.name,
                "label": f"{column.group} {column.label}".strip(),
                "short": _short_label(column, columns),
                "folder": quote(quoted_file_name(column.name)),
                "source": sources.columns[column.name],
            }
        )
    return found


def _short_label(column: Column, columns: Sequence[Column]) -> str:
    """Return the label without its group, if no other column has the same."""
    labels = [other.label for other in columns]
    is_one = labels.count(column.label) == 1
    return column.label if is_one else f"{column.group} {column.label}".strip()


def _metric(metric: MetricFacts) -> Mapping[str, Any]:
    return {
        "label": metric.label,
        "unit": metric.unit,
        "decimals": metric.decimals,
        "higher": metric.higher_is_better,
    }


def _source_rows(runs: Sequence[Run], sources: PlanSources) -> list[Mapping[str, Any]]:
    """Return what can be looked at; ``values`` is the place of its values in a case."""
    places = {run.id: place for place, run in enumerate(runs)}
    inputs = (place for place, run in enumerate(runs) if run.method.spec.is_input)
    of_input = next(inputs, None)
    found: list[Mapping[str, Any]] = [
        {
            "key": "degraded",
            "label": "Degraded input",
            "folder": "images/degraded",
            "values": of_input,
            "ranked": False,
            "source": None if of_input is None else sources.runs[runs[of_input].method.id][0],
        },
        {
            "key": "clean",
            "label": "Ground truth",
            "folder": "images/clean",
            "values": None,
            "ranked": False,
            "source": None,
        },
    ]
    for run in _restoring(runs):
        found.append(
            {
                "key": run.method.id,
                "label": run.method.label,
                "folder": quote(_folder(run)),
                "values": places[run.id],
                "ranked": run.method.spec.role != "reference",
                "source": sources.runs[run.method.id][0],
            }
        )
    return found
