"""The functions that scripts, notebooks and the command line call.

A :class:`~harness.planning.plan.Plan` says what is computed, :func:`run` computes what is missing
of it, and :func:`table` shows what is stored. Everything is stored in the plan's output folder, so
each function may be called again, in another process or on another day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.config.errors import Interrupted
from harness.data.parallel_map import OnProgress, no_progress
from harness.planning.plan import Plan, make_plan
from harness.planning.request import (
    DEFAULT_OUT,
    CheckpointRequest,
    DataRequest,
    EvaluationOverrides,
    Resources,
    RunRequest,
)

if TYPE_CHECKING:
    import pandas as pd

    from harness.evaluation.score_folders import FolderScores
    from harness.execution.execute import RunOutcome
    from harness.reporting.benchmark_table import BenchmarkTable

__all__ = [
    "CheckpointRequest",
    "DataRequest",
    "EvaluationOverrides",
    "Plan",
    "Resources",
    "RunRequest",
    "evaluate",
    "load_results",
    "plan",
    "run",
    "score",
    "table",
]


def plan(
    request: RunRequest | None = None, *, on_progress: OnProgress = no_progress, **values: Any
) -> Plan:
    """Return the plan of a request.

    Example::

        plan = harness.plan(methods=["cpl", "promptir"], recipe="smoke", seeds=[0, 1])

    Args:
        request: a request that exists already; ``values`` replace its fields.
        on_progress: hears how many files of data sets have been hashed, and how many there are.
        values: fields of :class:`~harness.planning.request.RunRequest`. ``data_root`` is short
            for ``data={"root": ...}``.

    Raises:
        UsageError: an unknown name, options that contradict each other, or data that is missing.
    """
    return make_plan(make_request(request, values), on_progress)


def make_request(request: RunRequest | None, values: Mapping[str, Any]) -> RunRequest:
    """Return a request with ``values`` in place of its fields.

    Raises:
        UsageError: an unknown field, or a value of the wrong type; the nearest field is named.
    """
    from harness.config.parsing import parse

    fields = dict(values)
    if "data_root" in fields:
        fields["data"] = {**fields.get("data", {}), "root": fields.pop("data_root")}
    known = {} if request is None else request.model_dump()
    return parse(RunRequest, {**known, **fields}, "the request")


def run(plan: Plan, resources: Resources | None = None, **values: Any) -> list[RunOutcome]:
    """Compute what is missing of a plan, and return how each computed run ended.

    Example::

        harness.run(plan, jobs=2, device="cpu")

    Args:
        plan: what to compute.
        resources: what the computation may use.
        values: fields of :class:`~harness.planning.request.Resources` instead.

    Raises:
        HarnessError: a run failed; the others are stored.
        Interrupted: the person stopped it; the same call goes on.
    """
    from harness.execution.execute import raise_if_failed

    outcomes = compute(plan, resources or Resources(**values))
    if any(outcome.interrupted for outcome in outcomes):
        raise Interrupted("stopped; nothing is lost, the same call goes on")
    raise_if_failed(outcomes, len(plan.runs))
    return outcomes


def compute(plan: Plan, resources: Resources) -> list[RunOutcome]:
    """Compute what is missing of a plan; failures and interruptions are part of the outcomes."""
    from harness.execution.status import is_complete

    if is_complete(plan):
        return []
    from harness.evaluation.metrics.registry import resolve_metrics
    from harness.execution.process import worker_of
    from harness.launch import launcher
    from harness.store.files import check_writable

    launch = launcher(resources.launcher)
    check_writable(plan.out)
    resolve_metrics(plan.metrics)
    return launch(plan, worker_of(resources))


def load_results(folder: str | Path = DEFAULT_OUT) -> pd.DataFrame:
    """Return all results below a folder as a data frame, one row per image and metric.

    The folder is an output folder or an archive. Columns: ``weights``, ``score`` (ids),
    ``method``, ``seed``, ``setting``, ``data_set`` (its real name, such as CBSD68, or
    ``synthetic``), ``column``, ``image``, ``metric``, ``preprocessing``, ``protocol``, ``value``
    and ``origin``; :class:`~harness.store.results.Result` describes each.

    Example::

        results = harness.load_results("results/runs")
        results.groupby(["method", "column", "metric"])["value"].mean()

    Raises:
        HarnessError: the folder holds no results.
    """
    from harness.reporting.frames import results_frame

    return results_frame(Path(folder))


def table(plan: Plan) -> BenchmarkTable:
    """Return the table of what is stored of a plan; what is not stored is absent.

    ``str(table)`` is the table of the terminal; it also has ``to_dataframe()``,
    ``to_markdown()``, ``to_latex()`` and ``to_csv()``.

    Raises:
        HarnessError: results of two preprocessings or protocols would stand in one column.
    """
    from harness.reporting.benchmark_table import benchmark_table

    return benchmark_table(plan)


def evaluate(
    checkpoint: str | Path,
    method: str | None = None,
    resources: Resources | None = None,
    **values: Any,
) -> Plan:
    """Score pretrained weights on a setting, and return the plan of what was scored.

    Example::

        plan = harness.evaluate("model.ckpt", method="promptir", data_root="~/data")
        print(harness.table(plan))

    Args:
        checkpoint: file of weights.
        method: the method that they are weights of; files of this project know it.
        resources: what the computation may use.
        values: further fields of :class:`~harness.planning.request.RunRequest`, and ``entry`` and
            ``required`` of :class:`~harness.planning.request.CheckpointRequest`. The recipe
            is ``paper`` if none is named: weights are run at their published size.

    Raises:
        HarnessError: the weights do not fit, or scoring failed.
    """
    asked: dict[str, Any] = {"file": Path(checkpoint), "method": method}
    for name in ("entry", "required"):
        if name in values:
            asked[name] = values.pop(name)
    scored = plan(**{"recipe": "paper", **values, "checkpoint": asked})
    run(scored, resources or Resources())
    return scored


def score(
    restored: str | Path,
    clean: str | Path,
    protocols: Sequence[str] = ("three-task",),
    metrics: Sequence[str] = (),
    pairing: str = "stem",
) -> FolderScores:
    """Score a folder of restored images against clean ones, whatever restored them.

    Example::

        scores = harness.score("out/", "gt/", protocols=["three-task", "basicsr-y"])
        print(scores.to_dataframe().mean(numeric_only=True))

    Args:
        restored: folder of restored images.
        clean: folder of clean images.
        protocols: names of protocols in ``datasets/protocols``.
        metrics: more metrics under each protocol, by id or by pyiqa's name.
        pairing: how names belong together: ``stem``, ``prefix`` or ``rain``.

    Raises:
        HarnessError: nothing pairs, a file cannot be read, or sizes do not fit.
    """
    from harness.evaluation.score_folders import ScoringRequest, score_folders

    request = ScoringRequest(Path(restored), Path(clean), tuple(protocols), tuple(metrics), pairing)
    return score_folders(request)
