"""Searching options and training values of methods, each with the same budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.computing import compute
from harness.api.plans import make_request
from harness.config.errors import Interrupted, UsageError
from harness.config.parsing import parse, read_yaml
from harness.data.parallel_map import OnProgress, no_progress
from harness.execution.execute import RunOutcome, raise_if_failed
from harness.execution.progress import duration
from harness.execution.status import assumption_note, estimated_s, run_status
from harness.planning.budget import Budget
from harness.planning.request import Resources, RunRequest
from harness.planning.tuning import Search, Trial, Tuning, make_tuning
from harness.store.files import write_text

if TYPE_CHECKING:
    from harness.reporting.table_report import TableReport
    from harness.reporting.tuning_table import TuningTable


@dataclass(frozen=True)
class TuningOutcome:
    """What a search found.

    Attributes:
        tuning: its trials.
        tables: one per method, the best trial first.
        summary: the methods side by side; None where there is one.
        tuned: the file that holds the winners, for ``run --config``; None where a method has none.
    """

    tuning: Tuning
    tables: tuple[TuningTable, ...]
    summary: TableReport | None
    tuned: Path | None

    @property
    def reports(self) -> tuple[TableReport, ...]:
        """All tables: one per method, then the summary."""
        return self.tables if self.summary is None else (*self.tables, self.summary)

    def request(self) -> RunRequest:
        """Return the request that trains, scores and compares the winners, as ``tuned`` holds it.

        Raises:
            UsageError: no trial of a method is finished.
        """
        if self.tuned is None:
            raise UsageError("no trial of a method is finished; run the same search again")
        return parse(RunRequest, read_yaml(self.tuned), str(self.tuned))

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.reports))


def tune(
    request: RunRequest | None = None,
    *,
    trials: int = 20,
    steps: int | None = None,
    search_seed: int = 0,
    fixed: Sequence[str] = (),
    resources: Resources | None = None,
    **values: Any,
) -> TuningOutcome:
    """Search learning rate, weight decay, patch, warm-up and options of methods.

    Every method gets the same number of trials of the same length. Trials are judged on validation
    images alone; what is stored of them is never computed again.

    Example::

        found = harness.tune(methods=["promptir", "restormer"], trials=20, recipe="mini")
        print(found)
        plan = harness.plan(found.request())

    Args:
        request: a request that exists already; ``values`` replace its fields.
        trials: trainings per method and seed; the first has the recipe's and the method's values.
        steps: of each training; None takes the recipe's.
        search_seed: which points are tried.
        fixed: options and training values that are not searched.
        resources: what the computation may use.
        values: fields of :class:`~harness.planning.request.RunRequest`.

    Raises:
        UsageError: a method has nothing to train, or its ranges do not fit together.
        HarnessError: a run failed; the others are stored.
        Interrupted: the user stopped it; the same call goes on.
    """
    budget = budget_of(trials=trials, steps=steps, seed=search_seed, fixed=tuple(fixed))
    tuning = plan_tuning(make_request(request, values), budget)
    outcomes = compute(tuning.plan, resources or Resources())
    if any(outcome.interrupted for outcome in outcomes):
        raise Interrupted("stopped; nothing is lost, the same call goes on")
    found = tuning_outcome(tuning, outcomes)
    raise_if_failed(outcomes, len(tuning.plan.runs))
    return found


def budget_of(**values: Any) -> Budget:
    """Return a budget of its fields.

    Raises:
        UsageError: a value is out of range.
    """
    return parse(Budget, values, "the search")


def plan_tuning(
    request: RunRequest, budget: Budget, on_progress: OnProgress = no_progress
) -> Tuning:
    """Return the trials of a search, checked before anything is computed.

    Raises:
        UsageError: a method has nothing to train, its ranges do not fit together, a label is that
            of no method here, or another table is stored under the request's name.
    """
    from harness.reporting.tuning_table import check_tuning_names
    from harness.reporting.wording import check_wording

    tuning = make_tuning(request, budget, on_progress)
    check_wording(tuning.plan)
    check_tuning_names(tuning)
    return tuning


def describe_tuning(tuning: Tuning) -> str:
    """Return the trials of a search as text: values, what is stored, and the time to expect."""
    from tabulate import tabulate

    parts: list[str] = []
    plan = tuning.plan
    for search in tuning.searches:
        names = list(search.ranges)
        lines = []
        for trial in search.trials:
            states: set[str] = set()
            expected_s = 0.0
            for run in trial.runs:
                states.add(run_status(run, plan))
                expected_s += estimated_s(run, plan)
            # Trial 0 has no values of its own.
            shown = {**dict.fromkeys(names, "own"), **trial.values}
            status = "/".join(sorted(states))
            lines.append([trial.number, status, duration(expected_s), *shown.values()])
        heads = ["trial", "status", "expected", *names]
        parts.append(f"{search.method.id}\n{tabulate(lines, heads, disable_numparse=True)}")
    total_s = sum(estimated_s(run, plan) for run in plan.all_runs)
    parts.append(
        f"{len(plan.runs)} trainings on {plan.setting.name} ({plan.source.name}), recipe "
        f"{plan.recipe.name}: about {duration(total_s)}, assuming "
        f"{plan.recipe.runtime.expected_on}{assumption_note(plan)}"
    )
    return "\n\n".join(parts)


def tuning_outcome(tuning: Tuning, outcomes: Sequence[RunOutcome] = ()) -> TuningOutcome:
    """Write the tables of a search and its winners, and return them.

    Raises:
        HarnessError: a stored file is damaged, or nothing can be written.
    """
    from harness.reporting.tuning_summary import tuning_summary
    from harness.reporting.tuning_table import tuning_stem, tuning_tables

    folder = tuning.plan.out / "tables"
    failed = {outcome.run_id: outcome.error for outcome in outcomes if outcome.error}
    tables = tuple(tuning_tables(tuning, failed))
    is_complete = all(table.best is not None for table in tables)
    path = folder / f"{tuning_stem(tuning)}-tuned.yaml" if is_complete else None
    summary = tuning_summary(tuning, tables) if tuning.compares else None
    found = TuningOutcome(tuning, tables, summary, path)
    for report in found.reports:
        report.write(folder)
    if path is not None:
        write_text(path, _winners_file(tuning, _winners(tuning, tables)))
    return found


def _winners(tuning: Tuning, tables: Sequence[TuningTable]) -> dict[str, tuple[Search, Trial]]:
    """Return the best trial of each search by its method; of two of one method the better one."""
    found: dict[str, tuple[Search, Trial]] = {}
    reached: dict[str, float] = {}
    for search, table in zip(tuning.searches, tables, strict=True):
        best = table.best
        assert best is not None
        assert best.validation_db is not None
        method_id = best.trial.method.id
        if best.validation_db > reached.get(method_id, -math.inf):
            reached[method_id] = best.validation_db
            found[method_id] = (search, best.trial)
    return found


def _winners_file(tuning: Tuning, winners: Mapping[str, tuple[Search, Trial]]) -> str:
    """Return the request that trains and scores the winners; their weights are there already."""
    import yaml

    request = tuning.plan.request
    # The tables of the search have the name that was asked for.
    content = request.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    content["methods"] = list(winners)
    content["setting"], content["recipe"] = request.setting, request.recipe
    content["out"] = str(request.out)
    if request.labels:
        content["labels"] = _winners_labels(tuning, winners)
    content["training"] = {}
    for method_id, (_, trial) in winners.items():
        if trial.training:
            content["training"][method_id] = dict(trial.training)
    budget = tuning.budget
    comment = (
        f"# The best of {budget.trials} trials per method on validation images, search seed "
        f"{budget.seed}.\n# Score them with: python -m harness run --config THIS_FILE\n"
    )
    if len(winners) < len(tuning.searches):
        comment += "# Searches that ended at the same method share a line: the better training.\n"
    return comment + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _winners_labels(tuning: Tuning, winners: Mapping[str, tuple[Search, Trial]]) -> dict[str, str]:
    """Return the labels of the request, those of methods under the names of their winners."""
    from harness.reporting.tuning_table import search_label

    methods: set[str] = set()
    for run in tuning.plan.runs:
        methods |= {run.method.id, run.method.label}
    labels = tuning.plan.request.labels
    found = {name: text for name, text in labels.items() if name not in methods}
    for method_id, (search, _) in winners.items():
        label = search_label(tuning, search)
        if label != search.method.label:
            found[method_id] = label
    return found
