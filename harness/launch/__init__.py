"""Launchers: each hands the runs of a plan to execution, on this machine or on others.

A launcher is a function ``launch(plan, worker) -> list of RunOutcome`` in a module of its own that
:data:`LAUNCHERS` names. It begins :func:`harness.execution.status.missing_runs` in their order,
each once those that it needs have ended, through :func:`harness.execution.execute.execute`; on
another machine that is ``python -m harness exec RUN_ID --plan FILE``. The module may have a
function ``check(resources)`` that refuses what cannot be used before anything is computed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from harness.config.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from harness.execution.execute import RunOutcome
    from harness.execution.process import Worker
    from harness.planning.plan import Plan
    from harness.planning.request import Resources

Launcher = Callable[["Plan", "Worker"], "list[RunOutcome]"]

LAUNCHERS = {
    "local": "harness.launch.local",
    "dask": "harness.launch.dask",
    "slurm": "harness.launch.slurm",
}
"""The module of each launcher, by the name that ``--launcher`` has for it."""


def launcher(name: str) -> Launcher:
    """Return the launcher of ``--launcher``.

    Raises:
        UsageError: no such launcher; the nearest is named.
    """
    found: Launcher = _module(name).launch
    return found


def check_launcher(resources: Resources) -> None:
    """Refuse a launcher that cannot be used, before anything is computed.

    Raises:
        UsageError: there is no such launcher, or what it needs is absent; says what.
    """
    check = getattr(_module(resources.launcher), "check", None)
    if check is not None:
        check(resources)


def _module(name: str) -> ModuleType:
    if name not in LAUNCHERS:
        raise UsageError(f"--launcher {name} is unknown; {did_you_mean(name, LAUNCHERS)}")
    return importlib.import_module(LAUNCHERS[name])
