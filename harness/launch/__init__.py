"""Launchers: each hands the runs of a plan to execution, here or elsewhere.

A launcher is a function ``(plan, worker) -> list of RunOutcome`` under a name in ``LAUNCHERS``.
It computes the auxiliary runs that are needed first, then the others, each through
:func:`harness.execution.execute.execute`; on another machine that is
``python -m harness exec RUN_ID --plan FILE``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.config.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from harness.execution.execute import RunOutcome
    from harness.execution.process import Worker
    from harness.planning.plan import Plan

Launcher = Callable[["Plan", "Worker"], "list[RunOutcome]"]


def _local(plan: Plan, worker: Worker) -> list[RunOutcome]:
    from harness.launch.local import launch

    return launch(plan, worker)


LAUNCHERS: dict[str, Launcher] = {"local": _local}


def launcher(name: str) -> Launcher:
    """Return the launcher of ``--launcher``.

    Raises:
        UsageError: no such launcher; the nearest is named.
    """
    if name not in LAUNCHERS:
        raise UsageError(f"--launcher {name} is unknown; {did_you_mean(name, LAUNCHERS)}")
    return LAUNCHERS[name]
