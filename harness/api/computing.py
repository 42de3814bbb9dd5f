"""Computing what is missing of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.plans import plan as plan_of
from harness.config.errors import HarnessError, Interrupted
from harness.config.ranks import is_joint, rank_of_environment
from harness.execution.locks import remove_dead_claims
from harness.execution.status import is_complete
from harness.planning.plan import Plan
from harness.planning.request import Resources

if TYPE_CHECKING:
    from harness.execution.execute import RunOutcome


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
        Interrupted: the user stopped it; the same call goes on.
    """
    from harness.execution.execute import raise_if_failed

    outcomes = compute(plan, resources or Resources(**values))
    if any(outcome.interrupted for outcome in outcomes):
        raise Interrupted("stopped; nothing is lost, the same call goes on")
    raise_if_failed(outcomes, len(plan.runs))
    return outcomes


def check_resources(resources: Resources) -> None:
    """Refuse a launcher, device or tracker that cannot be used, before anything is computed.

    Raises:
        UsageError: names what cannot be used, and the way out.
    """
    from harness.execution.process import check_device, check_joint
    from harness.execution.trackers import check_tracker
    from harness.launch import check_launcher

    check_joint(resources, here=resources.launcher == "local")
    check_launcher(resources)
    if resources.launcher == "local":
        check_device(resources)
    check_tracker(resources.tracker)


def compute(plan: Plan, resources: Resources) -> list[RunOutcome]:
    """Compute what is missing of a plan; failures and interruptions are part of the outcomes.

    Under ``torchrun`` each run is computed by all processes together. Images that the plan keeps
    and that were not restored in passing are made at the end.
    """
    outcomes: list[RunOutcome] = []
    if is_joint() or not is_complete(plan):
        # What computes runs takes a while to import, and often everything is stored.
        from harness.execution.preflight import check_plan
        from harness.execution.process import joined_worker
        from harness.launch import launcher

        launch = launcher(resources.launcher)
        check_plan(plan)
        with joined_worker(resources, here=resources.launcher == "local") as worker:
            outcomes = launch(plan, worker)
    if is_first_process():
        remove_dead_claims(plan.all_runs)
    unfinished = any(outcome.interrupted or outcome.queued for outcome in outcomes)
    if plan.request.keep_images != "none" and not unfinished and is_first_process():
        _keep_images(plan, outcomes, resources)
    return outcomes


def _keep_images(plan: Plan, outcomes: Sequence[RunOutcome], resources: Resources) -> None:
    """Keep the images that a plan keeps, of the runs that did not fail.

    Where a run failed, that is what the user has to hear, and not which images are missing.
    """
    from harness.api.images import keep_images  # most commands keep none

    failed = {outcome.run_id for outcome in outcomes if outcome.error}
    others = replace(plan, runs=tuple(run for run in plan.runs if run.id not in failed))
    try:
        keep_images(others, plan.request.keep_images, resources)
    except Interrupted:
        raise
    except HarnessError:
        if not failed:
            raise


def execute_run(plan: Plan, run_id: str, resources: Resources) -> list[RunOutcome]:
    """Compute one run of a plan, after those that it needs.

    Ctrl-C or SIGTERM stops it after the current step; the same call goes on. Under ``torchrun``
    all processes compute the run together.

    Raises:
        UsageError: the plan has no such run.
    """
    from harness.execution.children import stop_file_of
    from harness.execution.execute import Control, execute_with_needs
    from harness.execution.preflight import check_plan
    from harness.execution.process import joined_worker
    from harness.launch.signals import stop_on_signals

    plan.run(run_id)
    check_plan(plan)
    with joined_worker(resources) as worker, stop_on_signals(stop_file_of(plan.out)) as stop_file:
        return execute_with_needs(plan, run_id, worker, Control(stop=stop_file.exists))


def is_first_process() -> bool:
    """Return whether this process prints and writes: of several under ``torchrun`` the first."""
    return rank_of_environment() == 0


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
        values: further fields of :class:`~harness.planning.request.RunRequest`, and
            ``architecture``, ``entry``, ``prefix``, ``ignore`` and ``required`` of
            :class:`~harness.planning.request.CheckpointRequest`. The recipe is ``paper`` if none is
            named: weights are run at their published size.

    Raises:
        HarnessError: the weights do not fit, or scoring failed.
    """
    asked: dict[str, Any] = {"file": Path(checkpoint), "method": method}
    for name in ("architecture", "entry", "prefix", "ignore", "required"):
        if name in values:
            asked[name] = values.pop(name)
    scored = plan_of(**{"recipe": "paper", **values, "checkpoint": asked})
    run(scored, resources or Resources())
    return scored
