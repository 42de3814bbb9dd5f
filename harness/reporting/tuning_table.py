"""The trials of a search as a table per method, the best first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from harness.config.errors import HarnessError
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.planning.tuning import Search, Trial, Tuning
from harness.reporting.table import MISSING, plain_table
from harness.reporting.table_files import check_free, content_id
from harness.reporting.table_report import TableReport
from harness.reporting.wording import worded_label
from harness.store.files import file_name

_OWN = "own"
"""What a cell of trial 0 shows: the recipe's or the method's value."""
_HEADINGS = {
    "lr": "rate",
    "weight_decay": "decay",
    "patch_px": "patch (px)",
    "warmup_steps": "warm-up (steps)",
}


@dataclass(frozen=True)
class TrialResult:
    """A trial and what it reached.

    Attributes:
        trial: what was trained.
        validation_db: mean over tasks and seeds of PSNR on validation images; None where a run is
            missing or failed, or a value is not finite.
        failed: why it has none, where that is known.
    """

    trial: Trial
    validation_db: float | None
    failed: str = ""


@dataclass(frozen=True)
class TuningTable(TableReport):
    """The table of one method; ``results`` holds its trials, the best first."""

    results: tuple[TrialResult, ...]

    @property
    def best(self) -> TrialResult | None:
        """The best trial; None where none is finished."""
        first = self.results[0]
        return first if first.validation_db is not None else None


def tuning_stem(tuning: Tuning) -> str:
    """Return the name of the files of a search, without suffix."""
    plan = tuning.plan
    if plan.request.name:
        return file_name(plan.request.name)
    name = f"tuning-{plan.setting.name}-{plan.recipe.name}-{search_identity(plan.runs)}"
    return file_name(name)


def check_tuning_names(tuning: Tuning) -> None:
    """Refuse a name of the request under which another table is stored.

    Raises:
        UsageError: names the file.
    """
    folder = tuning.plan.out / "tables"
    for search in tuning.searches:
        check_free(folder, *_table_file(tuning, search))
    if tuning.compares:
        check_free(folder, tuning_stem(tuning), search_identity(tuning.plan.runs))


def _table_file(tuning: Tuning, search: Search) -> tuple[str, str]:
    """Return stem and identity of the table of one method."""
    runs: list[Run] = []
    for trial in search.trials:
        runs += trial.runs
    return f"{tuning_stem(tuning)}-{file_name(search.method.id)}", search_identity(runs)


def search_label(tuning: Tuning, search: Search) -> str:
    """Return what tables call the method of a search."""
    method = search.method
    return worded_label(tuning.plan.request, method.id, method.label)


def search_identity(runs: Sequence[Run]) -> str:
    """Return what tells the trials of a table from others."""
    return content_id({"trained": [run.weights_id for run in runs]})


def tuning_tables(tuning: Tuning, failed: Mapping[str, str]) -> list[TuningTable]:
    """Return a table per method.

    Args:
        tuning: the searches.
        failed: by a run's id, why it failed.

    Raises:
        HarnessError: a stored provenance is damaged, or lacks what was validated.
    """
    return [_table(tuning, search, failed) for search in tuning.searches]


def _table(tuning: Tuning, search: Search, failed: Mapping[str, str]) -> TuningTable:
    results: list[TrialResult] = []
    for trial in search.trials:
        results.append(_result(trial, failed))
    results.sort(key=_order)
    names = list(search.ranges)
    heads = ["Trial", "Validation (dB)"]
    for name in names:
        heads.append(_HEADINGS.get(name, name))
    lines, records = [], []
    for place, result in enumerate(results):
        lines.append(_line(result, names, is_best=place == 0))
        records.append(_record(search, result, names))
    table = plain_table(heads, lines, _caption(tuning, search), f"tuning-{search.method.id}")
    fields = ("method", "trial", "validation_db", *names, "runs", "failed")
    stem, identity = _table_file(tuning, search)
    whole = replace(table, fields=fields, records=tuple(records))
    return TuningTable(whole, stem, identity=identity, results=tuple(results))


def _result(trial: Trial, failed: Mapping[str, str]) -> TrialResult:
    values: list[float] = []
    for run in trial.runs:
        if run.id in failed:
            return TrialResult(trial, None, failed[run.id])
        if not run.folder.has_weights():
            return TrialResult(trial, None)
        per_task = run.folder.read_provenance().get("validation_per_task")
        if not isinstance(per_task, dict) or not per_task:
            raise HarnessError(
                f"{run.folder.provenance} does not say what was validated; remove the folder and "
                "run the same command again"
            )
        values.append(fmean(per_task.values()))
    mean = fmean(values)
    if not math.isfinite(mean):
        return TrialResult(trial, None, "validation is not finite")
    return TrialResult(trial, mean)


def _order(result: TrialResult) -> tuple[float, int]:
    value = -math.inf if result.validation_db is None else result.validation_db
    return -value, result.trial.number


def _line(result: TrialResult, names: Sequence[str], is_best: bool) -> list[str]:
    value = result.validation_db
    if value is None:
        text = "failed" if result.failed else MISSING
    else:
        text = f"{value:.2f}" + (" *" if is_best else "")
    cells = [_shown(result.trial, name) for name in names]
    return [str(result.trial.number), text, *cells]


def _shown(trial: Trial, name: str) -> str:
    if trial.number == 0:
        return _OWN
    value = trial.values[name]
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _record(search: Search, result: TrialResult, names: Sequence[str]) -> dict[str, Any]:
    values = dict.fromkeys(names, "") | dict(result.trial.values)
    return {
        "method": search.method.id,
        "trial": result.trial.number,
        "validation_db": "" if result.validation_db is None else result.validation_db,
        **values,
        "runs": " ".join(run.id for run in result.trial.runs),
        "failed": result.failed,
    }


def _caption(tuning: Tuning, search: Search) -> str:
    plan, budget = tuning.plan, tuning.budget
    seeds = ", ".join(map(str, plan.seeds))
    ranges = "; ".join(f"{name} {found}" for name, found in search.ranges.items())
    trained = search.trials[0].runs[0].train.optimisation
    assert trained is not None
    return (
        f"Search for {search_label(tuning, search)}. Mean PSNR (dB) over tasks on "
        f"{_validation_images(plan)}; best *. No test image is restored. Every method has the "
        f"same budget: {budget.trials} trials of {trained.steps} steps with batch {trained.batch}, "
        f"seed {seeds}, search seed {budget.seed}. Setting {plan.setting.name}, recipe "
        f"{plan.recipe.name}. Trial 0 has the recipe's and the method's own values. Searched: "
        f"{ranges}."
    )


def _validation_images(plan: Plan) -> str:
    data = plan.runs[0].train.data
    if data is None:
        return "validation images"
    count = data.validation_count
    return "one validation image" if count == 1 else f"{count} validation images"
