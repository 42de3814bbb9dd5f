"""Plans: from a request to the runs that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.config.parsing import parse
from harness.data.parallel_map import OnProgress, no_progress
from harness.execution.progress import duration
from harness.execution.status import assumption_note, estimated_s, run_status
from harness.planning.own_files import use_own_files
from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest

if TYPE_CHECKING:
    from harness.planning.studies import Study


def plan(
    request: RunRequest | None = None, *, on_progress: OnProgress = no_progress, **values: Any
) -> Plan:
    """Return the plan of a request.

    Example::

        plan = harness.plan(methods=["cpl", "promptir"], recipe="smoke", seeds=[0, 1])

    Args:
        request: a request that exists already; ``values`` replace its fields.
        on_progress: receives how many files of data sets have been hashed, and how many there are.
        values: fields of :class:`~harness.planning.request.RunRequest`. ``data_root`` is short
            for ``data={"root": ...}``, and ``clean_images`` for ``data={"clean_images": ...}``.

    Raises:
        UsageError: an unknown name, options that contradict each other, or data that is missing.
    """
    return make_plan(make_request(request, values), on_progress)


def make_request(request: RunRequest | None, values: Mapping[str, Any]) -> RunRequest:
    """Return a request with ``values`` in place of its fields.

    Raises:
        UsageError: an unknown field, or a value of the wrong type; the nearest field is named.
    """
    fields = dict(values)
    for short, key in (("data_root", "root"), ("clean_images", "clean_images")):
        if short in fields:
            fields["data"] = {**fields.get("data", {}), key: fields.pop(short)}
    known = {} if request is None else request.model_dump()
    return parse(RunRequest, {**known, **fields}, "the request")


def describe(plan: Plan) -> str:
    """Return the plan as text: runs, what is stored of each, and the time to expect."""
    from tabulate import tabulate

    lines = []
    total_s = 0.0
    for run in plan.all_runs:
        expected_s = estimated_s(run, plan)
        # Runs side by side share the cores that the recipe's step was measured on.
        total_s += expected_s
        status = run_status(run, plan)
        lines.append([run.method.id, run.train.seed, status, duration(expected_s), run.id])
    text = tabulate(lines, headers=["method", "seed", "status", "expected", "run"])
    return (
        f"{text}\nsetting {plan.setting.name} ({plan.source.name}), recipe {plan.recipe.name}: "
        f"about {duration(total_s)}, assuming {plan.recipe.runtime.expected_on}"
        f"{assumption_note(plan)}"
    )


def load_studies(names: Sequence[str], request: RunRequest, base: str | None = None) -> list[Study]:
    """Return studies by name or file, for the setting and recipe of a request.

    ``base`` is a method, with options, that values differ from in place of the studies' own.

    Raises:
        UsageError: no such study, or a value that does not fit.
    """
    from harness.planning.studies import load_study

    use_own_files(request.include, request.plugins)
    unique = dict.fromkeys(names)
    return [load_study(name, request.setting, request.recipe, base) for name in unique]
