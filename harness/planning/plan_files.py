"""Plans as files, from which any machine makes the same runs again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.config.errors import UsageError
from harness.config.hashing import spec_hash
from harness.config.parsing import parse
from harness.data.parallel_map import OnProgress, no_progress
from harness.planning.absolute_paths import with_absolute_paths
from harness.planning.budget import Budget
from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest
from harness.planning.tuning import make_tuning
from harness.store.files import read_json, write_json


def plan_name(plan: Plan) -> str:
    """Return a name for a plan's file that follows from what it is made of, and where it is.

    Requests of two folders may be written alike; their plans, and the jobs that batch systems call
    after them, are others.
    """
    request = with_absolute_paths(plan.request)
    name = spec_hash(request.model_copy(update={"out": request.out.resolve()}))
    return name if plan.budget is None else f"{name}-{spec_hash(plan.budget)}"


def store_plan(plan: Plan, path: Path) -> None:
    """Write a plan: its request, the budget of a search, and the ids of its runs.

    Paths are written in full, so that the same folder is filled from wherever the plan is read.
    """
    request = with_absolute_paths(plan.request)
    content: dict[str, Any] = {"request": request.model_dump(mode="json")}
    if plan.budget is not None:
        content["budget"] = plan.budget.model_dump(mode="json")
    content["runs"] = [run.id for run in plan.all_runs]
    write_json(path, content)


def load_plan(path: Path, on_progress: OnProgress = no_progress) -> Plan:
    """Read a stored plan and make it again.

    Raises:
        UsageError: the file is no plan, or code or data have changed so that its runs are others.
    """
    content: Any = read_json(path)
    if not _is_plan(content):
        raise UsageError(f"{path} holds no plan; write one with python -m harness plan --to FILE")
    request = parse(RunRequest, content["request"], str(path))
    if "budget" in content:
        budget = parse(Budget, content["budget"], str(path))
        plan = make_tuning(request, budget, on_progress).plan
    else:
        plan = make_plan(request, on_progress)
    found = {run.id for run in plan.all_runs}
    changed = [run_id for run_id in content["runs"] if run_id not in found]
    if changed:
        raise UsageError(
            f"{path} was made with other code or data: run {changed[0]} would be another one now; "
            "make the plan again"
        )
    return plan


def _is_plan(content: Any) -> bool:
    if not isinstance(content, dict) or set(content) - {"budget"} != {"request", "runs"}:
        return False
    runs = content["runs"]
    return isinstance(runs, list) and all(isinstance(run, str) for run in runs)
